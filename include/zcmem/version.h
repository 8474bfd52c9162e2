/* SPDX-License-Identifier: MIT */
/* The one place where the version stands. meson.build reads it from here. */
#ifndef ZCMEM_VERSION_H
#define ZCMEM_VERSION_H

/* MAJOR.MINOR.PATCH, as numbers and as text. */
#define ZCMEM_VERSION_MAJOR 0
#define ZCMEM_VERSION_MINOR 1
#define ZCMEM_VERSION_PATCH 0
#define ZCMEM_VERSION "0.1.0"

#endif
