/* SPDX-License-Identifier: MIT */
/* The sub-commands: each takes what follows its name and answers the exit status. */
#ifndef ZCMEM_BENCH_COMMANDS_H
#define ZCMEM_BENCH_COMMANDS_H

int bench_command_replay(int argc, char **argv);
int bench_command_fit(int argc, char **argv);
int bench_command_heap(int argc, char **argv);
int bench_command_convert(int argc, char **argv);

/* Where the regions of replay and fit start: an address that is not 0 and that no host pointer of ours has. */
#define BENCH_REGION_BASE UINT64_C(0x4000000000)

/* A quantum that a region can be made of here: sums of sizes rounded to it stay far below 2^64. */
#define BENCH_MAX_QUANTUM (UINT64_C(1) << 30)

#endif
