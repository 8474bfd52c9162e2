/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include "../twin.h"
#include "../unit.h"

struct play {
  struct fuzz_input *in;
  struct twin twins[2]; /* the second is where the heap moves to */
  struct twin *t;
};

static struct zcmem_heap_config draw_config(struct fuzz_input *in) {
  static const hal_addr_t bases[] = {0, 1, 128, UINT64_C(0x7000000000), UINT64_C(0xffffffff00000000)};
  uint8_t shape = fuzz_byte(in);
  struct zcmem_heap_config config = {.quantum = shape % 16 == 15 ? 0 : (hal_size_t)1 << shape % 16,
                                     .max_blocks = 1 + fuzz_byte(in),
                                     .flags = shape & 0x80 ? ZCMEM_HEAP_ZEROED : 0};
  hal_size_t quantum = config.quantum == 0 ? ZCMEM_QUANTUM_DEFAULT : config.quantum;
  uint8_t where = fuzz_byte(in);
  config.size = (1u + fuzz_byte(in)) * quantum + fuzz_below(in, quantum);
  config.base = where % 8 < 5 ? bases[where % 8] + (where >> 3) : where % 8 == 5 ? 0 - config.size : fuzz_word(in, 8);
  return config;
}

/* The start of an occupied block, mostly; else an address inside, beside or anywhere. */
static hal_addr_t draw_addr(struct play *play) {
  const struct model *m = &play->t->model;
  uint8_t how = fuzz_byte(play->in), which = fuzz_byte(play->in);
  hal_addr_t start = m->base + (which % m->quanta) * m->quantum;
  if (m->owner[which % m->quanta] != 0) {
    start = m->base + m->blocks[m->owner[which % m->quanta] - 1].first * m->quantum;
  }
  switch (how % 16) {
  case 0:
    return start + how / 16;
  case 1:
    return m->base + (which % m->quanta) * m->quantum;
  case 2:
    return how < 128 ? 0 : m->base + m->quanta * m->quantum;
  case 3:
    return fuzz_word(play->in, 8);
  default:
    return start;
  }
}

static hal_size_t draw_size(struct play *play) {
  return fuzz_size(play->in, play->t->model.quantum, model_largest(&play->t->model));
}

static void move_heap(struct play *play) {
  struct twin *other = play->t == play->twins ? &play->twins[1] : &play->twins[0];
  twin_copy(other, play->t);
  memset(play->t->image, 0x5a, play->t->bytes);
  play->t = other;
}

static void call(struct play *play) {
  struct twin *t = play->t;
  uint8_t what = fuzz_byte(play->in);
  hal_addr_t addr = 0;
  switch (what % 16) {
  case 0:
  case 1:
  case 2:
    (void)twin_alloc(t, draw_size(play), what < 128 ? 1 : fuzz_size(play->in, t->model.quantum, 1 << 12), &addr);
    break;
  case 3:
    (void)twin_alloc(t, draw_size(play), (hal_size_t)1 << what / 16, &addr);
    break;
  case 4:
  case 5:
  case 6:
    (void)twin_free(t, draw_addr(play));
    break;
  case 7:
    (void)twin_free_deferred(t, draw_addr(play));
    break;
  case 8:
    (void)twin_resize(t, draw_addr(play), draw_size(play));
    break;
  case 9:
    (void)twin_reserve(t, draw_addr(play), draw_size(play));
    break;
  case 10:
    (void)twin_pin(t, draw_addr(play));
    break;
  case 11:
    (void)twin_unpin(t, draw_addr(play));
    break;
  case 12:
    (void)twin_begin_transfer(t, draw_addr(play), draw_size(play));
    break;
  case 13:
    (void)twin_end_transfer(t, draw_addr(play));
    break;
  case 14:
    (void)(what < 128 ? twin_find(t, draw_addr(play)) : twin_set_tag(t, draw_addr(play), what));
    break;
  default:
    move_heap(play);
    break;
  }
}

void fuzz_heap(struct fuzz_input *in) {
  static struct play play;
  struct zcmem_heap_config config = draw_config(in);
  play.in = in;
  play.t = &play.twins[0];
  if (!twin_init(&play.twins[0], &config, true)) {
    return;
  }
  assert_true(twin_init(&play.twins[1], &config, true));
  for (unsigned calls = 0; calls < FUZZ_MOST_CALLS && fuzz_more(in); calls++) {
    call(&play);
  }
  twin_end(&play.twins[0]);
  twin_end(&play.twins[1]);
}
