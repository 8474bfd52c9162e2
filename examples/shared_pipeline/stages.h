/* SPDX-License-Identifier: MIT */
/*
 * The stages of the pipeline, each a process of its own:
 *
 *      camera ---address---> filter ---address---> display
 *         ^                                           |
 *         +----------------number of the frame--------+
 *
 * A frame stays the camera's; filter and display pin it while they use it. What a filter had in its hands when it was
 * killed the camera learns from the numbers, which come in order but for that one. It frees that frame, too: for good
 * as soon as the reap has ended the dead filter's pin.
 */
#ifndef STAGES_H
#define STAGES_H

#include <stdatomic.h>
#include <zcmem/shm.h>

#define FRAME_BYTES ((hal_size_t)1 << 20)
#define FRAMES_UNDERWAY 8u

/* What goes through the pipes. A pipe passes it as a whole or not at all. */
struct message {
  uint64_t number; /* of the frame, from 1 on */
  hal_addr_t addr; /* HAL_NULLPTR: the end */
};

/* What all processes know; it lies in a block of the area. */
struct board {
  atomic_uint_least64_t shown, lost;
  atomic_uint_least64_t bytes_copied; /* by the HALs of all processes */
};

struct pipeline {
  int area; /* its file descriptor */
  hal_addr_t board;
  uint64_t frames;
  int to_filter[2], to_display[2], to_camera[2]; /* pipes */
};

/* What a stage is while it runs. */
struct stage {
  const struct pipeline *pipeline;
  struct zcmem_shm *shm;
  struct zcmem_hal *hal;
  struct board *board;
};

/* Runs in a child; answer its exit status. */
int camera_run(struct stage *stage);
int filter_run(struct stage *stage);
int display_run(struct stage *stage);

/* Opens the area, runs the stage, adds up what its HAL has copied, and closes. The exit status. */
int stage_live(const struct pipeline *pipeline, int (*run)(struct stage *stage));

#endif
