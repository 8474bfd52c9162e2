/* SPDX-License-Identifier: MIT */
/* The sub-commands: each takes what follows its name and answers the exit status. */
#ifndef ZCMEM_BENCH_COMMANDS_H
#define ZCMEM_BENCH_COMMANDS_H

int bench_command_replay(int argc, char **argv);
int bench_command_fit(int argc, char **argv);
int bench_command_convert(int argc, char **argv);
int bench_command_shrink(int argc, char **argv);
int bench_command_map(int argc, char **argv);
int bench_command_pair(int argc, char **argv);
int bench_command_steady(int argc, char **argv);
int bench_command_sizes(int argc, char **argv);
int bench_command_fifo(int argc, char **argv);
int bench_command_ramp(int argc, char **argv);
int bench_command_load90(int argc, char **argv);
int bench_command_heap(int argc, char **argv);
int bench_command_threads(int argc, char **argv);
int bench_command_handoff(int argc, char **argv);
int bench_command_shm(int argc, char **argv);
int bench_command_translate(int argc, char **argv);
int bench_command_buffer(int argc, char **argv);
int bench_command_copy(int argc, char **argv);
int bench_command_latency(int argc, char **argv);
int bench_command_metadata(int argc, char **argv);

/* Where regions start: an address that is not 0 and that no host pointer of ours has. */
#define BENCH_REGION_BASE UINT64_C(0x4000000000)

/* A quantum that a region can be made of here: sums of sizes rounded to it stay far below 2^64. */
#define BENCH_MAX_QUANTUM (UINT64_C(1) << 30)

#endif
