/* SPDX-License-Identifier: MIT */
/* Fault injection: the calls of context.h, in regions without magazines and with them. */
#include "faults.h"
#include <stdalign.h>

#define HAL faults.hal

enum { WARM = 6 };

static alignas(64) unsigned char memory[2][160 * 1024];
static struct zcmem_context *context, *other;

static struct zcmem_context_config config_of(void) {
  return (struct zcmem_context_config){.hal = HAL};
}

static enum zcmem_status bytes(void) {
  struct zcmem_context_config config = config_of();
  return zcmem_context_bytes(&config) > 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status init(void) {
  struct zcmem_context_config config = config_of();
  return zcmem_context_init(memory[0], sizeof memory[0], &config, &context);
}

static enum zcmem_status destroy(void) {
  return zcmem_context_destroy(context);
}

static enum zcmem_status drain(void) {
  return zcmem_context_drain(context);
}

static void open_context(void) {
  assert_ok(init());
}

static void end_context(void) {
  assert_ok(destroy());
}

static void churn(struct zcmem_context *through, hal_size_t size, hal_size_t other_size) {
  hal_addr_t blocks[WARM];
  for (uint32_t i = 0; i < WARM; i++) {
    assert_ok(zcmem_context_alloc(through, 0, i % 2 == 0 ? size : other_size, 1, &blocks[i]));
  }
  for (uint32_t i = 0; i < WARM; i++) {
    assert_ok(zcmem_context_free(through, blocks[i]));
  }
}

/* Blocks of that size, and of another, are kept. */
static void warm_up(void) {
  open_context();
  churn(context, FAULTS_BYTES, 100);
}

/* Another context keeps some, too. */
static void warm_up_both(void) {
  struct zcmem_context_config config = config_of();
  warm_up();
  assert_ok(zcmem_context_init(memory[1], sizeof memory[1], &config, &other));
  churn(other, 600, 700);
}

static enum zcmem_status alloc(void) {
  return zcmem_context_alloc(context, 0, FAULTS_BYTES, 1, &faults.made[0]);
}

static enum zcmem_status alloc_large(void) {
  return zcmem_context_alloc(context, 0, FAULTS_REGION - 12 * FAULTS_BYTES, 1, &faults.made[0]);
}

static void free_made(void) {
  assert_ok(zcmem_mem_free(HAL, faults.made[0]));
}

static enum zcmem_status free_addr(void) {
  return zcmem_context_free(context, faults.addr);
}

#define OP(function, variant, rules, prepare, call, undo)                                                              \
  { function, variant, FAULTS_HOST_WAY, FAULTS_HOST_WAY, rules, prepare, call, undo, NULL }

const struct faults_operation faults_context[] = {
    OP("zcmem_context_bytes", "", 0, NULL, bytes, NULL),
    OP("zcmem_context_init", "", 0, NULL, init, end_context),
    OP("zcmem_context_destroy", "", 0, open_context, destroy, NULL),
    OP("zcmem_context_destroy", "that keeps blocks", FAULTS_MAGAZINES, warm_up_both, destroy, NULL),
    OP("zcmem_context_drain", "", 0, open_context, drain, NULL),
    OP("zcmem_context_drain", "that keeps blocks", FAULTS_MAGAZINES, warm_up_both, drain, NULL),
    OP("zcmem_context_alloc", "", 0, open_context, alloc, free_made),
    OP("zcmem_context_alloc", "the first call", FAULTS_MAGAZINES, open_context, alloc, free_made),
    OP("zcmem_context_alloc", "of a block that it keeps", FAULTS_MAGAZINES, warm_up, alloc, free_made),
    OP("zcmem_context_alloc", "for which others must give back", FAULTS_MAGAZINES, warm_up_both, alloc_large,
       free_made),
    OP("zcmem_context_free", "", 0, open_context, free_addr, NULL),
    OP("zcmem_context_free", "the first call", FAULTS_MAGAZINES, open_context, free_addr, NULL),
    OP("zcmem_context_free", "of a block that it takes", FAULTS_MAGAZINES, warm_up, free_addr, NULL),
    FAULTS_END};
