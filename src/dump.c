/* SPDX-License-Identifier: MIT */
/*
 * The dump: what a HAL's regions hold, as JSON, an object a line. Blocks are looked at in pieces under the lock and
 * written without it, so that a writer may take its time; the version of the region's blocks tells whether the pieces
 * belong together.
 */
#include "hal_impl.h"
#include "keep.h"
#include "stats.h"
#include <zcmem/debug.h>

#define PIECE 32u    /* blocks in one hold of the lock */
#define TEXT 1024u   /* bytes that go to the writer at once; */
#define LONGEST 512u /*   no line is longer: a name of 31 bytes takes at most six times as many */

struct dump {
  zcmem_dump_writer write;
  void *ctx;
  enum zcmem_status status;
  size_t used;
  char text[TEXT];
};

static void flush_text(struct dump *dump) {
  if (dump->used > 0 && dump->status == ZCMEM_OK && dump->write(dump->ctx, dump->text, dump->used) != 0) {
    dump->status = ZCMEM_EIO;
  }
  dump->used = 0;
}

static void put_char(struct dump *dump, char c) {
  dump->text[dump->used++] = c;
}

static void put_text(struct dump *dump, const char *text) {
  while (*text != '\0') {
    put_char(dump, *text++);
  }
}

static void put_number(struct dump *dump, uint64_t number, unsigned base) {
  char digits[20];
  unsigned count = 0;
  do {
    digits[count++] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number != 0);
  while (count > 0) {
    put_char(dump, digits[--count]);
  }
}

/* A name may be of any bytes; what is not printable ASCII is escaped, each byte as the character of its number. */
static void put_string(struct dump *dump, const char *name, const char *value) {
  put_text(dump, name);
  put_char(dump, '"');
  for (; *value != '\0'; value++) {
    unsigned char c = (unsigned char)*value;
    if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e) {
      put_text(dump, "\\u00");
      put_char(dump, "0123456789abcdef"[c >> 4]);
      put_char(dump, "0123456789abcdef"[c & 15u]);
    } else {
      put_char(dump, (char)c);
    }
  }
  put_char(dump, '"');
}

static void put_member(struct dump *dump, const char *name, uint64_t value) {
  put_text(dump, name);
  put_number(dump, value, 10);
}

/* As text: the numbers of JSON lose the last bits of what is above 2^53 in some readers. */
static void put_address(struct dump *dump, const char *name, hal_addr_t addr) {
  put_text(dump, name);
  put_text(dump, "\"0x");
  put_number(dump, addr, 16);
  put_char(dump, '"');
}

static void end_line(struct dump *dump) {
  put_text(dump, "}\n");
  if (dump->used > TEXT - LONGEST) {
    flush_text(dump);
  }
}

static void put_block(struct dump *dump, const struct zcmem__region *region, uint32_t index,
                      const struct zcmem_block_info *block, uint32_t owner) {
  static const char *const states[] = {"free", "live", "zombie", "cached"};
  put_member(dump, "{\"type\":\"block\",\"region\":", index);
  put_member(dump, ",\"offset\":", block->addr - region->base);
  put_member(dump, ",\"size\":", block->size);
  put_member(dump, ",\"requested\":", block->requested);
  put_string(dump, ",\"state\":", states[block->state]);
  put_member(dump, ",\"tag\":", block->tag);
  put_member(dump, ",\"pins\":", block->pins);
  put_member(dump, ",\"transfers\":", block->transfers);
  put_member(dump, ",\"owner\":", owner);
  put_member(dump, ",\"pid\":", region->shared == NULL ? 0 : region->shared->pid_of(region->shared, owner));
  end_line(dump);
}

static void put_region(struct dump *dump, const struct zcmem__region *region, uint32_t index) {
  put_member(dump, "{\"type\":\"region\",\"index\":", index);
  put_string(dump, ",\"name\":", region->name);
  put_member(dump, ",\"kind\":", region->kind);
  put_address(dump, ",\"base\":", region->base);
  put_member(dump, ",\"size\":", region->size);
  put_member(dump, ",\"quantum\":", region->quantum);
  put_member(dump, ",\"max_blocks\":", region->max_blocks);
  put_text(dump, region->host != NULL ? ",\"mapped\":true" : ",\"mapped\":false");
  end_line(dump);
}

/* Up to PIECE blocks from `from` on, and the version that they are of. ELOCK. */
static enum zcmem_status look_at_piece(struct zcmem__region *region, hal_addr_t from, struct zcmem_block_info *blocks,
                                       uint8_t *owners, uint32_t *count, uint32_t *version) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status == ZCMEM_OK) {
    status = zcmem__keep_settle(region, false);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  *count = zcmem__heap_list(region->heap, from, blocks, owners, PIECE);
  *version = zcmem__atomic_version(&region->version);
  zcmem__keep_resume(region);
  zcmem__lock_drop(&region->lock);
  return ZCMEM_OK;
}

/* What has been listed, for the region's last line. */
struct listed {
  uint64_t blocks, live, in_use, requested, available, largest;
};

static void add_block(struct listed *sum, const struct zcmem_block_info *block) {
  sum->blocks++;
  if (block->state == ZCMEM_BLOCK_FREE) {
    sum->available += block->size;
    sum->largest = block->size > sum->largest ? block->size : sum->largest;
    return;
  }
  sum->in_use += block->size;
  sum->live += block->state != ZCMEM_BLOCK_CACHED;
  sum->requested += block->requested;
}

static void put_end(struct dump *dump, uint32_t index, const struct listed *sum, bool changed) {
  put_member(dump, "{\"type\":\"end\",\"region\":", index);
  put_member(dump, ",\"blocks\":", sum->blocks);
  put_member(dump, ",\"live\":", sum->live);
  put_member(dump, ",\"in_use\":", sum->in_use);
  put_member(dump, ",\"requested\":", sum->requested);
  put_member(dump, ",\"available\":", sum->available);
  put_member(dump, ",\"largest\":", sum->largest);
  put_member(dump, ",\"fragmentation\":", zcmem__fragmentation(sum->available, sum->largest));
  put_text(dump, changed ? ",\"changed\":true" : ",\"changed\":false");
  end_line(dump);
}

static void dump_region(struct dump *dump, struct zcmem__region *region, uint32_t index) {
  struct zcmem_block_info blocks[PIECE];
  uint8_t owners[PIECE];
  struct listed sum = {0};
  uint32_t count = 0, version = 0, first_version = 0;
  bool changed = false, first = true;
  hal_addr_t next = region->first;
  put_region(dump, region, index);
  do {
    enum zcmem_status status = look_at_piece(region, next, blocks, owners, &count, &version);
    if (status != ZCMEM_OK) {
      dump->status = status;
      return;
    }
    if (first) {
      first_version = version;
      first = false;
    }
    changed = changed || version != first_version;
    for (uint32_t i = 0; i < count && dump->status == ZCMEM_OK; i++) {
      put_block(dump, region, index, &blocks[i], owners[i]);
      add_block(&sum, &blocks[i]);
      next = blocks[i].addr + blocks[i].size;
    }
    /* The last block may end where the address space does. */
  } while (count == PIECE && next > region->first && dump->status == ZCMEM_OK);
  put_end(dump, index, &sum, changed);
}

enum zcmem_status zcmem_hal_dump(struct zcmem_hal *hal, zcmem_dump_writer write, void *ctx) {
  if (hal == NULL || write == NULL) {
    return ZCMEM_EINVAL;
  }
  struct dump dump = {.write = write, .ctx = ctx, .status = ZCMEM_OK};
  uint32_t count = zcmem_hal_region_count(hal);
  put_string(&dump, "{\"zcmem\":\"dump\",\"version\":1,\"device\":", hal->name);
  put_member(&dump, ",\"regions\":", count);
  end_line(&dump);
  for (uint32_t i = 0; i < count && dump.status == ZCMEM_OK; i++) {
    dump_region(&dump, &hal->regions[i], i);
  }
  flush_text(&dump);
  return dump.status;
}
