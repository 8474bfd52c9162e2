/* SPDX-License-Identifier: MIT */
#include "stages.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE 500 /* milliseconds that the camera waits for the end before it says it once more */

static int failed(const char *what, enum zcmem_status status) {
  fprintf(stderr, "shared_pipeline: %s: %s\n", what, zcmem_status_string(status));
  return EXIT_FAILURE;
}

static bool send_message(int to, uint64_t number, hal_addr_t addr) {
  const struct message message = {number, addr};
  return write(to, &message, sizeof message) == (ssize_t)sizeof message;
}

static bool receive_message(int from, struct message *message) {
  return read(from, message, sizeof *message) == (ssize_t)sizeof *message;
}

/* Byte i of frame n, before the filter. */
static uint64_t pixels(uint64_t number, size_t i) {
  return number * UINT64_C(0x9e3779b97f4a7c15) + i;
}

/* ------------------------------------------------------------------------------------------------------ camera -- */

/* Frames underway, the oldest first. */
struct underway {
  struct message frame[FRAMES_UNDERWAY];
  unsigned count;
};

/* Frees all frames up to `number`: the one that was shown, and those before it that never will be. */
static enum zcmem_status retire(struct stage *stage, struct underway *underway, uint64_t number) {
  unsigned done = 0;
  for (; done < underway->count && underway->frame[done].number <= number; done++) {
    if (underway->frame[done].number < number) {
      atomic_fetch_add(&stage->board->lost, 1);
    }
    enum zcmem_status status = zcmem_mem_free_deferred(stage->hal, underway->frame[done].addr);
    if (status != ZCMEM_OK) {
      return status;
    }
  }
  underway->count -= done;
  memmove(underway->frame, underway->frame + done, underway->count * sizeof underway->frame[0]);
  return ZCMEM_OK;
}

static enum zcmem_status shoot(struct stage *stage, struct underway *underway, uint64_t number) {
  struct message *frame = &underway->frame[underway->count];
  void *host = NULL;
  enum zcmem_status status = zcmem_mem_alloc(stage->hal, 0, FRAME_BYTES, 4096, &frame->addr);
  if (status == ZCMEM_OK) {
    status = zcmem_mem_host(stage->hal, frame->addr, FRAME_BYTES, &host);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  uint64_t *words = host;
  for (size_t i = 0; i < FRAME_BYTES / sizeof *words; i++) {
    words[i] = pixels(number, i);
  }
  frame->number = number;
  underway->count++;
  return ZCMEM_OK;
}

/* Waits until the display has shown a frame; an end that is lost with a filter is said again. */
static bool wait_for_display(const struct stage *stage, bool ending, struct message *shown) {
  const struct pipeline *pipeline = stage->pipeline;
  struct pollfd from = {.fd = pipeline->to_camera[0], .events = POLLIN};
  while (ending && poll(&from, 1, PATIENCE) == 0) {
    if (!send_message(pipeline->to_filter[1], pipeline->frames + 1, HAL_NULLPTR)) {
      return false;
    }
  }
  return receive_message(pipeline->to_camera[0], shown);
}

int camera_run(struct stage *stage) {
  const struct pipeline *pipeline = stage->pipeline;
  struct underway underway = {.count = 0};
  uint64_t number = 0;
  bool ended = false;
  while (!ended) {
    struct message shown;
    while (underway.count < FRAMES_UNDERWAY && number <= pipeline->frames) {
      number++;
      hal_addr_t addr = HAL_NULLPTR;
      if (number <= pipeline->frames) {
        enum zcmem_status status = shoot(stage, &underway, number);
        if (status != ZCMEM_OK) {
          return failed("camera", status);
        }
        addr = underway.frame[underway.count - 1].addr;
      }
      if (!send_message(pipeline->to_filter[1], number, addr)) {
        return EXIT_FAILURE;
      }
    }
    if (!wait_for_display(stage, number > pipeline->frames, &shown)) {
      return EXIT_FAILURE;
    }
    ended = shown.number > pipeline->frames;
    enum zcmem_status status = retire(stage, &underway, shown.number);
    if (status != ZCMEM_OK) {
      return failed("camera", status);
    }
  }
  return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------------------------------- filter, display -- */

/* Pins a frame and finds where this process sees it. */
static enum zcmem_status look_at(const struct stage *stage, hal_addr_t addr, uint64_t **words) {
  void *host = NULL;
  enum zcmem_status status = zcmem_mem_pin(stage->hal, addr);
  if (status == ZCMEM_OK) {
    status = zcmem_mem_host(stage->hal, addr, FRAME_BYTES, &host);
  }
  *words = host;
  return status;
}

int filter_run(struct stage *stage) {
  const struct pipeline *pipeline = stage->pipeline;
  struct message frame;
  while (receive_message(pipeline->to_filter[0], &frame)) {
    if (frame.addr != HAL_NULLPTR) {
      uint64_t *words;
      enum zcmem_status status = look_at(stage, frame.addr, &words);
      if (status != ZCMEM_OK) {
        return failed("filter", status);
      }
      for (size_t i = 0; i < FRAME_BYTES / sizeof *words; i++) {
        words[i] = ~words[i]; /* a negative, in place */
      }
      (void)zcmem_mem_unpin(stage->hal, frame.addr);
    }
    if (!send_message(pipeline->to_display[1], frame.number, frame.addr)) {
      return EXIT_FAILURE;
    }
    if (frame.addr == HAL_NULLPTR) {
      return EXIT_SUCCESS;
    }
  }
  return EXIT_FAILURE;
}

int display_run(struct stage *stage) {
  const struct pipeline *pipeline = stage->pipeline;
  struct message frame;
  while (receive_message(pipeline->to_display[0], &frame)) {
    if (frame.addr != HAL_NULLPTR) {
      uint64_t *words;
      enum zcmem_status status = look_at(stage, frame.addr, &words);
      if (status != ZCMEM_OK) {
        return failed("display", status);
      }
      for (size_t i = 0; i < FRAME_BYTES / sizeof *words; i++) {
        if (words[i] != ~pixels(frame.number, i)) {
          return failed("display: a frame is not what it should be", ZCMEM_ECORRUPT);
        }
      }
      (void)zcmem_mem_unpin(stage->hal, frame.addr);
      atomic_fetch_add(&stage->board->shown, 1);
    }
    if (!send_message(pipeline->to_camera[1], frame.number, frame.addr)) {
      return EXIT_FAILURE;
    }
    if (frame.addr == HAL_NULLPTR) {
      return EXIT_SUCCESS;
    }
  }
  return EXIT_FAILURE;
}

/* ------------------------------------------------------------------------------------------------------ stages -- */

int stage_live(const struct pipeline *pipeline, int (*run)(struct stage *stage)) {
  const struct zcmem_shm_open_config config = {.fd = pipeline->area};
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  struct stage stage = {.pipeline = pipeline};
  void *board = NULL;
  enum zcmem_status status = zcmem_shm_open(&config, &stage.shm);
  if (status == ZCMEM_OK) {
    stage.hal = zcmem_shm_hal(stage.shm);
    status = zcmem_mem_host(stage.hal, pipeline->board, sizeof(struct board), &board);
  }
  if (status != ZCMEM_OK) {
    return failed("a stage cannot begin", status);
  }
  stage.board = board;
  int result = run(&stage);
  status = zcmem_hal_region_stats(stage.hal, 0, &stats);
  atomic_fetch_add(&stage.board->bytes_copied, stats.bytes_read + stats.bytes_written + stats.bytes_copied_in +
                                                   stats.bytes_copied_out + stats.bytes_filled);
  if (status == ZCMEM_OK) {
    status = zcmem_shm_close(stage.shm);
  }
  return status == ZCMEM_OK ? result : failed("a stage cannot end", status);
}
