/* SPDX-License-Identifier: MIT */
/*
 * src/gdb/zcmem.py as a part of the debug information, so that gdb knows the commands of it in every program that the
 * library is linked to: the text itself, in the section that gdb looks for. Where the build names the file.
 */
#ifndef ZCMEM_SRC_GDB_SCRIPT_H
#define ZCMEM_SRC_GDB_SCRIPT_H

#if defined(ZCMEM_GDB_SCRIPT) && defined(__GNUC__) && defined(__ELF__)
__asm__(".pushsection \".debug_gdb_scripts\", \"MS\", %progbits, 1\n"
        ".byte 4\n" /* Python, as text: a line with its name, then the text up to a 0 */
        ".ascii \"zcmem.py\\n\"\n"
        ".incbin \"" ZCMEM_GDB_SCRIPT "\"\n"
        ".byte 0\n"
        ".popsection\n");
#endif

#endif
