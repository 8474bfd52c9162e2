/* SPDX-License-Identifier: MIT */
#include "zone.h"
#include <string.h>

/* -------------------------------------------------------------------------------------------------- patterns -- */

/*
 * What a red zone holds: by the last six bits of the address, different from byte to byte, so that no constant stored
 * over two of them is what was there; never 0, 0xff or a letter. Twice, so that 64 bytes can be had from any of them
 * on.
 */
#define ZONE_1(i) (0x80 | (((i)*29) & 0x3f))
#define ZONE_8(i)                                                                                                      \
  ZONE_1(i), ZONE_1((i) + 1), ZONE_1((i) + 2), ZONE_1((i) + 3), ZONE_1((i) + 4), ZONE_1((i) + 5), ZONE_1((i) + 6),     \
      ZONE_1((i) + 7)
#define ZONE_64 ZONE_8(0), ZONE_8(8), ZONE_8(16), ZONE_8(24), ZONE_8(32), ZONE_8(40), ZONE_8(48), ZONE_8(56)
#define ZONE_PERIOD 64u
static const unsigned char zone_bytes[2 * ZONE_PERIOD] = {ZONE_64, ZONE_64};

static const unsigned char *zone_at(hal_addr_t addr) {
  return zone_bytes + addr % ZONE_PERIOD;
}

static void draw_zone(const struct zcmem__zones *zones, hal_addr_t addr, hal_size_t size) {
  unsigned char *bytes = zcmem__zone_host(zones, addr);
  hal_size_t i = 0;
  for (; size - i >= ZONE_PERIOD; i += ZONE_PERIOD) {
    memcpy(bytes + i, zone_at(addr), ZONE_PERIOD);
  }
  memcpy(bytes + i, zone_at(addr), (size_t)(size - i));
}

/* How many bytes of the zone are as they were drawn, from the first one on. */
static hal_size_t intact(const struct zcmem__zones *zones, hal_addr_t addr, hal_size_t size) {
  const unsigned char *bytes = zcmem__zone_host(zones, addr);
  hal_size_t i = 0;
  while (size - i >= ZONE_PERIOD && memcmp(bytes + i, zone_at(addr), ZONE_PERIOD) == 0) {
    i += ZONE_PERIOD;
  }
  while (i < size && bytes[i] == *zone_at(addr + i)) {
    i++;
  }
  return i;
}

/* -------------------------------------------------------------------------------------------------------- draw -- */

struct zcmem__zone_extent zcmem__zone_extent(const struct zcmem__zones *zones, const struct zcmem__block *block) {
  hal_addr_t addr = zcmem__heap_addr(zones->heap, block->start);
  hal_addr_t end = addr + zcmem__heap_bytes_of(zones->heap, block->size);
  return (struct zcmem__zone_extent){.addr = addr, .end = end, .rest = end - block->slack};
}

void zcmem__zone_draw_behind(const struct zcmem__zones *zones, const struct zcmem__block *block) {
  const struct zcmem__zone_extent of = zcmem__zone_extent(zones, block);
  if (of.end - of.rest <= 2 * zones->bytes) { /* they touch */
    draw_zone(zones, of.rest, of.end - of.rest);
    return;
  }
  draw_zone(zones, of.rest, zones->bytes);
  draw_zone(zones, of.end - zones->bytes, zones->bytes);
}

/* Bytes of the zone before a block that are no other block's: as far as it is free there, or not the heap's. */
static hal_size_t own_before(const struct zcmem__zones *zones, const struct zcmem__block *block) {
  uint32_t before = zcmem__link_id(block->prev);
  hal_size_t room = 0;
  if (zcmem__link_free(block->prev)) {
    const struct zcmem__block *gap = zcmem__block(zones->heap, before);
    room = zcmem__heap_bytes_of(zones->heap, gap->size);
    before = zcmem__link_id(gap->prev);
  }
  return before == ZCMEM__NIL || room > zones->bytes ? zones->bytes : room;
}

void zcmem__zone_draw_before(const struct zcmem__zones *zones, const struct zcmem__block *block) {
  hal_size_t size = own_before(zones, block);
  draw_zone(zones, zcmem__zone_extent(zones, block).addr - size, size);
}

/* -------------------------------------------------------------------------------------------------------- look -- */

void zcmem__zone_note(struct zcmem_damage *damage, enum zcmem_damage_kind kind, hal_addr_t block, hal_addr_t at) {
  if (damage->count++ == 0) {
    damage->kind = kind;
    damage->block = block;
    damage->at = at;
  }
}

/* Looks at a zone, or at `size` bytes of it. */
static void look_at_zone(const struct zcmem__zones *zones, enum zcmem_damage_kind kind, hal_addr_t block,
                         hal_addr_t zone, hal_size_t size, struct zcmem_damage *damage) {
  hal_size_t good = intact(zones, zone, size);
  if (good < size) {
    zcmem__zone_note(damage, kind, block, zone + good);
  }
}

/* The two zones behind a block may be one, and are counted as one. */
void zcmem__zone_look_behind(const struct zcmem__zones *zones, const struct zcmem__block *block,
                             enum zcmem_damage_kind kind, struct zcmem_damage *damage) {
  const struct zcmem__zone_extent of = zcmem__zone_extent(zones, block);
  uint64_t count = damage->count;
  if (of.end - of.rest <= 2 * zones->bytes) {
    look_at_zone(zones, kind, of.addr, of.rest, of.end - of.rest, damage);
    return;
  }
  look_at_zone(zones, kind, of.addr, of.rest, zones->bytes, damage);
  if (damage->count == count) {
    look_at_zone(zones, kind, of.addr, of.end - zones->bytes, zones->bytes, damage);
  }
}

void zcmem__zone_look_before(const struct zcmem__zones *zones, const struct zcmem__block *block, bool own,
                             struct zcmem_damage *damage) {
  const hal_addr_t addr = zcmem__zone_extent(zones, block).addr;
  const hal_size_t size = own ? own_before(zones, block) : zones->bytes;
  look_at_zone(zones, ZCMEM_DAMAGE_BEFORE, addr, addr - size, size, damage);
}
