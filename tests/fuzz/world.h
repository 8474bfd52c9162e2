/* SPDX-License-Identifier: MIT */
/*
 * The world of the facade's fuzzing: a HAL of four regions on the tests' fake device, and what must be true of it. Each
 * region has a model of its heap (model.h) and a shadow of every byte that its device, and its host, see; mappings,
 * aliases, buffers and views stand in tables of their own. world_verify compares all of it with the library and the
 * device.
 *
 * Callbacks fail when the input says so. Then the call that met it may answer EIO, and its destination, no other byte,
 * may be anything: it is taken over from the device (world_adopt).
 */
#ifndef ZCMEM_TESTS_FUZZ_WORLD_H
#define ZCMEM_TESTS_FUZZ_WORLD_H

#include "fuzz.h"

#include "../fake.h"
#include "../model.h"
#include "../unit.h"

enum {
  WORLD_REGIONS = 4,
  WORLD_MAPPINGS = 6, /* aliases, too */
  WORLD_BUFFERS = 6,
  WORLD_VIEWS = 12,
  WORLD_USER = 2048,   /* bytes of host memory that no region has */
  WORLD_MOST = 1 << 15 /* bytes of a region */
};

struct world_region {
  struct fake_region fake;
  struct model model;
  size_t bytes;
  unsigned char *host; /* where the host sees the first byte, or NULL */
  unsigned char *want; /* what the device sees */
  unsigned char *seen; /* what the host sees, where that is another memory; else NULL */
  uint64_t read, written, copied_out, copied_in, filled, maps, resizes;
};

struct world_mapping {
  uint32_t users; /* 0: unused, or an alias */
  bool alias;
  struct world_region *region;
  hal_addr_t addr;
  hal_size_t size;
  unsigned flags;
  unsigned char *host;
  unsigned char *bytes; /* what a mapping that is a copy holds; NULL: it is the memory itself */
};

struct world_buffer {
  zcmem_buffer_t id; /* 0: none is here */
  uint32_t references, uses, views, flags;
  uint32_t root; /* its own place, if it has the memory */
  bool shadow, owned;
  zcmem_buffer_t parent;
  hal_size_t offset, size;
  struct world_region *region;
  hal_addr_t addr;
  unsigned char *host;
};

struct world_view {
  zcmem_view_t id; /* 0: none is here */
  uint32_t buffer; /* place */
  hal_addr_t addr;
  hal_size_t size;
  uint32_t mode;
  bool of_host;
  unsigned char *host; /* of a view of the host's */
  bool mapped;         /* on demand */
};

struct world {
  struct fuzz_input *in;
  struct zcmem_hal *hal;
  struct zcmem_buffers *buffers;
  void *buffers_memory;
  uint32_t max_buffers, max_views;
  uint64_t buffer_bytes_in, buffer_bytes_out; /* copied, as the table counts them */
  struct world_region regions[WORLD_REGIONS];
  struct world_mapping mappings[WORLD_MAPPINGS];
  struct world_buffer buffer[WORLD_BUFFERS];
  struct world_view view[WORLD_VIEWS];
  unsigned char *user, *user_want; /* WORLD_USER bytes */
  unsigned char *scratch;          /* WORLD_MOST bytes */
  uint32_t focus;                  /* the region that most calls are about, so that they meet */
  unsigned armed;                  /* what fake.fail_callback_in was before the call */
};

/* Makes the HAL and its regions as the input says. */
void world_open(struct world *w, struct fuzz_input *in);
/* Gives all back, and checks that nothing else is left. */
void world_close(struct world *w);
void world_verify(struct world *w);

/* Around a call that may run callbacks: whether one of them has failed. */
void world_begin(struct world *w);
bool world_struck(const struct world *w);

struct world_region *world_region_of(struct world *w, hal_addr_t addr);
uint32_t world_index(const struct world *w, const struct world_region *r);
bool world_can_map(const struct world_region *r);
bool world_can_move(const struct world_region *r);

/* What the library must answer for a range of `size` bytes from addr on: OK, ENOENT, EBOUNDS. */
enum zcmem_status world_reach(struct world *w, hal_addr_t addr, hal_size_t size, struct world_region **r);

/* Where the shadow of the byte at addr is. */
unsigned char *world_want(const struct world_region *r, hal_addr_t addr);
unsigned char *world_seen(const struct world_region *r, hal_addr_t addr); /* NULL: no other memory */

/* The device's bytes are `bytes` now, brought there through the library; or whatever they are. */
void world_put(struct world_region *r, hal_addr_t addr, const void *bytes, size_t size);
void world_adopt(struct world_region *r, hal_addr_t addr, size_t size);
/* The host's view was brought in line with the device: by a read. */
void world_fetch(struct world_region *r, hal_addr_t addr, size_t size);

/* Enters a new block into the model and checks it; it may be larger than asked for where magazines are. */
void world_place(struct world *w, struct world_region *r, hal_addr_t addr, hal_size_t size, hal_size_t align);

/* The status that an allocation must have; `got` decides where the model leaves the choice. */
enum zcmem_status world_alloc_status(const struct world_region *r, hal_size_t size, hal_size_t align,
                                     enum zcmem_status got);

/* Drawn from the input: a region, mostly the one in focus; an address (mostly of a block), a size (mostly one that fits
 * there), a host pointer. */
uint32_t world_draw_region(const struct world *w, uint8_t how);
hal_addr_t world_addr(struct world *w);
hal_size_t world_size(struct world *w, hal_addr_t addr);
unsigned char *world_pointer(struct world *w);
/* A mapping or alias; NULL: there is none. */
struct world_mapping *world_draw_mapping(struct world *w, uint8_t which);

/* Mappings: what a map must answer (OK: the block is pinned in the model), then either of the others. */
enum zcmem_status world_map_wanted(struct world *w, hal_addr_t addr, hal_size_t size, unsigned flags);
void world_map_made(struct world *w, hal_addr_t addr, hal_size_t size, unsigned flags, unsigned char *host);
void world_map_failed(struct world *w, hal_addr_t addr);
/* What an unmap of the pointer must answer; after the call world_unmap_done with what world_unmap_wanted gave. */
enum zcmem_status world_unmap_wanted(struct world *w, unsigned char *host, struct world_mapping **mapping);
void world_unmap_done(struct world_mapping *mapping, bool struck);

/* The region that a host pointer leads to, the address, and how many bytes of a mapping follow; NULL: none. */
struct world_region *world_lead(struct world *w, const unsigned char *host, hal_addr_t *addr, hal_size_t *mapped);

/* Checks where the library says that the pointer leads to. */
void world_translate(struct world *w, const unsigned char *host);

/* The calls, by their objects (ops_mem.c, ops_transfer.c, ops_map.c, ops_buffer.c, ops_view.c). */
void world_call_mem(struct world *w);
void world_call_transfer(struct world *w);
void world_call_map(struct world *w);
void world_call_buffer(struct world *w);
void world_call_view(struct world *w);

/* Buffers and views (ops_buffer.c, ops_view.c). Unuse: a view has ended, and the buffer may be no more. */
void world_buffers_open(struct world *w);
void world_buffers_close(struct world *w);
void world_buffers_verify(struct world *w);
void world_buffer_unuse(struct world *w, struct world_buffer *b);
/* The buffer in a place that the input names, or none with a number that may once have been one's. */
struct world_buffer *world_draw_buffer(struct world *w, zcmem_buffer_t *id);

#endif
