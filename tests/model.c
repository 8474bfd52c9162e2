/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <string.h>

/* Quanta that `size` bytes occupy; without a sum that could wrap. */
static hal_size_t quanta_of(const struct model *m, hal_size_t size) {
  return size == 0 ? 1 : (size - 1) / m->quantum + 1;
}

static hal_addr_t address_of(const struct model *m, uint32_t index) {
  return m->base + index * m->quantum;
}

static bool inside(const struct model *m, hal_addr_t addr) {
  return addr >= m->base && (addr - m->base) / m->quantum < m->quanta;
}

/* Free quanta in a row from `index` on. */
static uint32_t run_at(const struct model *m, uint32_t index) {
  uint32_t n = 0;
  while (index + n < m->quanta && m->owner[index + n] == 0) {
    n++;
  }
  return n;
}

static uint32_t longest_run(const struct model *m) {
  uint32_t longest = 0, run = 0;
  for (uint32_t i = 0; i < m->quanta; i++) {
    run = m->owner[i] == 0 ? run + 1 : 0;
    if (run > longest) {
      longest = run;
    }
  }
  return longest;
}

static bool fits_aligned(const struct model *m, hal_size_t need, hal_size_t align) {
  for (uint32_t i = 0; i < m->quanta; i++) {
    if (address_of(m, i) % align == 0 && run_at(m, i) >= need) {
      return true;
    }
  }
  return false;
}

/* The occupied block that holds the address, or NULL. */
static struct model_block *holder(struct model *m, hal_addr_t any) {
  uint16_t owner;
  if (!inside(m, any)) {
    return NULL;
  }
  owner = m->owner[(any - m->base) / m->quantum];
  return owner == 0 ? NULL : &m->blocks[owner - 1];
}

static struct model_block *live_holder(struct model *m, hal_addr_t any) {
  struct model_block *b = holder(m, any);
  return b != NULL && b->state == ZCMEM_BLOCK_LIVE ? b : NULL;
}

static struct model_block *live_start(struct model *m, hal_addr_t addr) {
  struct model_block *b = live_holder(m, addr);
  return b != NULL && address_of(m, b->first) == addr ? b : NULL;
}

static bool in_use(const struct model_block *b) {
  return b->pins > 0 || b->transfers > 0;
}

static void occupy(struct model *m, uint32_t first, uint32_t count, hal_size_t requested) {
  uint32_t slot = 0;
  while (m->blocks[slot].count != 0) {
    slot++;
  }
  m->blocks[slot] = (struct model_block){first, count, requested, ZCMEM_BLOCK_LIVE, 0, 0, 0};
  for (uint32_t i = 0; i < count; i++) {
    m->owner[first + i] = (uint16_t)(slot + 1);
  }
  m->live++;
  m->occupied += count;
}

static void vacate(struct model *m, struct model_block *b) {
  for (uint32_t i = 0; i < b->count; i++) {
    m->owner[b->first + i] = 0;
  }
  m->live--;
  m->occupied -= b->count;
  b->count = 0;
}

static void describe(const struct model *m, const struct model_block *b, struct zcmem_block_info *info) {
  *info = (struct zcmem_block_info){
      address_of(m, b->first), b->count * m->quantum, b->requested, b->state, b->pins, b->transfers, b->tag};
}

bool model_init(struct model *m, const struct zcmem_heap_config *config) {
  hal_size_t quantum = config->quantum == 0 ? ZCMEM_QUANTUM_DEFAULT : config->quantum;
  hal_addr_t last = config->base + (config->size - 1);
  hal_addr_t first = config->base;
  memset(m, 0, sizeof *m);
  if (config->size == 0 || last < config->base || (quantum & (quantum - 1)) != 0 || config->max_blocks == 0) {
    return false;
  }
  if (first == 0) {
    first = quantum;
  } else if (first % quantum != 0) {
    first += quantum - first % quantum;
    if (first == 0) {
      return false;
    }
  }
  m->base = first;
  m->quantum = quantum;
  m->max_blocks = config->max_blocks;
  while (first <= last && last - first >= quantum - 1) {
    if (m->quanta == MODEL_QUANTA) {
      return false;
    }
    m->quanta++;
    first += quantum;
    if (first == 0) {
      break;
    }
  }
  return m->quanta > 0;
}

enum zcmem_status model_alloc_status(const struct model *m, hal_size_t size, hal_size_t align, bool *open) {
  hal_size_t need = quanta_of(m, size);
  *open = false;
  if (align == 0 || (align & (align - 1)) != 0) {
    return ZCMEM_EINVAL;
  }
  if (m->live == m->max_blocks) {
    return ZCMEM_ENOMEM;
  }
  if (need > m->quanta - m->occupied) {
    return ZCMEM_ENOSPC;
  }
  if (align <= m->quantum) {
    return longest_run(m) >= need ? ZCMEM_OK : ZCMEM_EFRAG;
  }
  if (longest_run(m) >= need + align / m->quantum - 1) {
    return ZCMEM_OK;
  }
  *open = fits_aligned(m, need, align);
  return ZCMEM_EFRAG;
}

bool model_place(struct model *m, hal_addr_t addr, hal_size_t size, hal_size_t align) {
  hal_size_t need = quanta_of(m, size);
  hal_size_t index;
  if (addr == 0 || !inside(m, addr) || (addr - m->base) % m->quantum != 0 || addr % align != 0) {
    return false;
  }
  index = (addr - m->base) / m->quantum;
  if (run_at(m, (uint32_t)index) < need) {
    return false;
  }
  occupy(m, (uint32_t)index, (uint32_t)need, size);
  return true;
}

enum zcmem_status model_free(struct model *m, hal_addr_t addr) {
  struct model_block *b = live_start(m, addr);
  if (addr == 0) {
    return ZCMEM_OK;
  }
  if (b == NULL) {
    return ZCMEM_ENOENT;
  }
  if (in_use(b)) {
    return ZCMEM_EBUSY;
  }
  vacate(m, b);
  return ZCMEM_OK;
}

enum zcmem_status model_free_deferred(struct model *m, hal_addr_t addr, bool *deferred) {
  struct model_block *b = live_start(m, addr);
  *deferred = false;
  if (addr == 0) {
    return ZCMEM_OK;
  }
  if (b == NULL) {
    return ZCMEM_ENOENT;
  }
  if (in_use(b)) {
    b->state = ZCMEM_BLOCK_ZOMBIE;
    *deferred = true;
  } else {
    vacate(m, b);
  }
  return ZCMEM_OK;
}

enum zcmem_status model_resize(struct model *m, hal_addr_t addr, hal_size_t size) {
  struct model_block *b = live_start(m, addr);
  hal_size_t need = quanta_of(m, size);
  uint16_t owner;
  if (b == NULL) {
    return ZCMEM_ENOENT;
  }
  if (in_use(b) && size < b->requested) {
    return ZCMEM_EBUSY;
  }
  if (need > b->count && need - b->count > m->quanta - m->occupied) {
    return ZCMEM_ENOSPC;
  }
  if (need > b->count && need - b->count > run_at(m, b->first + b->count)) {
    return ZCMEM_EFRAG;
  }
  owner = m->owner[b->first];
  for (uint32_t i = b->count; i < need; i++) {
    m->owner[b->first + i] = owner;
  }
  for (uint32_t i = (uint32_t)need; i < b->count; i++) {
    m->owner[b->first + i] = 0;
  }
  m->occupied = m->occupied - b->count + (uint32_t)need;
  b->count = (uint32_t)need;
  b->requested = size;
  return ZCMEM_OK;
}

enum zcmem_status model_reserve(struct model *m, hal_addr_t at, hal_size_t size) {
  hal_size_t need = quanta_of(m, size);
  hal_size_t index;
  if (at % m->quantum != 0) {
    return ZCMEM_EINVAL;
  }
  if (!inside(m, at)) {
    return ZCMEM_EBOUNDS;
  }
  index = (at - m->base) / m->quantum;
  if (need > m->quanta - index) {
    return ZCMEM_EBOUNDS;
  }
  if (m->live == m->max_blocks) {
    return ZCMEM_ENOMEM;
  }
  if (run_at(m, (uint32_t)index) < need) {
    return ZCMEM_EOVERLAP;
  }
  occupy(m, (uint32_t)index, (uint32_t)need, size);
  return ZCMEM_OK;
}

enum zcmem_status model_find(const struct model *m, hal_addr_t any, struct zcmem_block_info *info) {
  const struct model_block *b;
  uint16_t owner = inside(m, any) ? m->owner[(any - m->base) / m->quantum] : 0;
  if (owner == 0) {
    return ZCMEM_ENOENT;
  }
  b = &m->blocks[owner - 1];
  if (b->state != ZCMEM_BLOCK_LIVE) {
    return ZCMEM_ENOENT;
  }
  describe(m, b, info);
  return ZCMEM_OK;
}

enum zcmem_status model_pin(struct model *m, hal_addr_t any) {
  struct model_block *b = live_holder(m, any);
  if (b == NULL) {
    return ZCMEM_ENOENT;
  }
  if (b->pins == ZCMEM_MAX_PINS) {
    return ZCMEM_EBUSY;
  }
  b->pins++;
  return ZCMEM_OK;
}

/* The end of a use: the last one of a zombie frees it. */
static enum zcmem_status end_use(struct model *m, struct model_block *b, uint32_t *count, bool *freed) {
  *freed = false;
  if (*count == 0) {
    return ZCMEM_EBUSY;
  }
  --*count;
  if (b->state == ZCMEM_BLOCK_ZOMBIE && !in_use(b)) {
    vacate(m, b);
    *freed = true;
  }
  return ZCMEM_OK;
}

enum zcmem_status model_unpin(struct model *m, hal_addr_t any, bool *freed) {
  struct model_block *b = holder(m, any);
  return b == NULL ? ZCMEM_ENOENT : end_use(m, b, &b->pins, freed);
}

enum zcmem_status model_begin_transfer(struct model *m, hal_addr_t any, hal_size_t size) {
  struct model_block *b = live_holder(m, any);
  hal_size_t offset;
  if (b == NULL) {
    return ZCMEM_ENOENT;
  }
  offset = any - address_of(m, b->first);
  if (offset > b->requested || size > b->requested - offset) {
    return ZCMEM_EBOUNDS;
  }
  if (b->transfers == ZCMEM_MAX_PINS) {
    return ZCMEM_EBUSY;
  }
  b->transfers++;
  return ZCMEM_OK;
}

enum zcmem_status model_end_transfer(struct model *m, hal_addr_t any, bool *freed) {
  struct model_block *b = holder(m, any);
  return b == NULL ? ZCMEM_ENOENT : end_use(m, b, &b->transfers, freed);
}

enum zcmem_status model_set_tag(struct model *m, hal_addr_t addr, uint32_t tag) {
  struct model_block *b = live_start(m, addr);
  if (b == NULL) {
    return ZCMEM_ENOENT;
  }
  b->tag = tag;
  return ZCMEM_OK;
}

hal_size_t model_largest(const struct model *m) {
  return m->live == m->max_blocks ? 0 : longest_run(m) * m->quantum;
}

bool model_block_at(const struct model *m, uint32_t first, struct zcmem_block_info *info) {
  uint16_t owner = m->owner[first];
  if (first > 0 && m->owner[first - 1] == owner) {
    return false;
  }
  if (owner != 0) {
    describe(m, &m->blocks[owner - 1], info);
  } else {
    *info =
        (struct zcmem_block_info){address_of(m, first), run_at(m, first) * m->quantum, 0, ZCMEM_BLOCK_FREE, 0, 0, 0};
  }
  return true;
}

uint32_t model_free_runs(const struct model *m) {
  uint32_t runs = 0;
  for (uint32_t i = 0; i < m->quanta; i++) {
    if (m->owner[i] == 0 && (i == 0 || m->owner[i - 1] != 0)) {
      runs++;
    }
  }
  return runs;
}

hal_size_t model_requested(const struct model *m) {
  hal_size_t sum = 0;
  for (uint32_t i = 0; i < m->quanta; i++) {
    if (m->blocks[i].count != 0) {
      sum += m->blocks[i].requested;
    }
  }
  return sum;
}
