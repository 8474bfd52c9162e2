#!/bin/sh
# SPDX-License-Identifier: MIT
# usage.sh PROGRAM ARGUMENT: an argument that the program does not know is named on stderr, with status 2.
set -u
said=$("$1" "$2" 2>&1 >/dev/null)
status=$?
[ $status -eq 2 ] || { echo "FAIL: $1 $2 ended with $status, not 2" && exit 1; }
case $said in
*"'$2'"*usage*) ;;
*) echo "FAIL: $1 $2 said: $said" && exit 1 ;;
esac
