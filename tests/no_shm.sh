#!/bin/sh
# SPDX-License-Identifier: MIT
# no_shm.sh <libzcmem.a built with ZCMEM_NO_SHM>: nothing of areas that processes share is in it.
set -eu
command -v nm >/dev/null 2>&1 || { echo "SKIP: no nm here" && exit 77; }
symbols=$(nm -g "$1" | awk 'NF >= 2 { print $NF }')
echo "$symbols" | grep -qx zcmem_hal_init || { echo "FAIL: what is $1?" && exit 1; }
if echo "$symbols" | grep -E '^(zcmem_+shm_|shm_open|shm_unlink|memfd_create|pthread_mutex_consistent)'; then
  echo "FAIL: of areas that processes share"
  exit 1
fi
