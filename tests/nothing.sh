#!/bin/sh
# SPDX-License-Identifier: MIT
# nothing.sh <archive of the files that a macro switches off, built with it>: they define and need nothing.
set -eu
command -v nm >/dev/null 2>&1 || { echo "SKIP: no nm here" && exit 77; }
nm "$1" >/dev/null
symbols=$(nm -g "$1" | awk 'NF >= 2 && $1 !~ /:$/')
if [ -n "$symbols" ]; then
  printf 'FAIL: in %s\n%s\n' "$1" "$symbols"
  exit 1
fi
