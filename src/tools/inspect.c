/* SPDX-License-Identifier: MIT */
/*
 * zcmem-inspect: prints what is in an area that processes share, live or dead, or in a copy of one; or dumps it, to be
 * drawn. It only reads the file, takes no lock, and disturbs nobody.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zcmem/shm.h>

#define USAGE "usage: zcmem-inspect [--json] [--blocks] NAME|FILE\n       zcmem-inspect --dump NAME|FILE\n"

enum { EXIT_BAD = 1, EXIT_USAGE = 2 };

/* Owners of blocks: each slot, then everybody, then nobody. */
#define OWNERS (ZCMEM_SHM_MAX_PROCESSES + 2u)
#define EVERYBODY (OWNERS - 2u)
#define NOBODY (OWNERS - 1u)
#define DUMP_SHARED 255u /* as an owner: everybody's (src/dump.schema.json) */

struct share {
  uint64_t blocks, bytes;
};

struct print {
  bool json, first;
  struct share of[OWNERS];
  struct share zombies, cached;
};

static const char *const process_states[] = {"nobody", "alive", "gone", "shared"};
static const char *const block_states[] = {"free", "live", "zombie", "cached"};

/* A name that anybody may have written. */
static void print_name(const char *name, bool json) {
  for (; *name != '\0'; name++) {
    const unsigned char c = (unsigned char)*name;
    if (c < 0x20 || c >= 0x7f || (json && (c == '"' || c == '\\'))) {
      printf(json ? "\\u%04x" : "\\x%02x", c);
    } else {
      putchar(c);
    }
  }
}

static uint32_t owner_of(const struct zcmem_shm_process *owner) {
  return owner->state == ZCMEM_SHM_SHARED ? EVERYBODY : owner->state == ZCMEM_SHM_NOBODY ? NOBODY : owner->slot - 1u;
}

static bool sum_block(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  struct print *print = ctx;
  struct share *share = block->state == ZCMEM_BLOCK_LIVE     ? &print->of[owner_of(owner)]
                        : block->state == ZCMEM_BLOCK_ZOMBIE ? &print->zombies
                        : block->state == ZCMEM_BLOCK_CACHED ? &print->cached
                                                             : NULL;
  if (share != NULL) {
    share->blocks++;
    share->bytes += block->size;
  }
  return true;
}

static bool print_block(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  struct print *print = ctx;
  const char *state = block_states[block->state];
  if (print->json) {
    printf("%s\n        {\"addr\": \"0x%" PRIx64 "\", \"size\": %" PRIu64 ", \"state\": \"%s\"",
           print->first ? "" : ",", block->addr, block->size, state);
    if (block->state != ZCMEM_BLOCK_FREE) {
      printf(", \"requested\": %" PRIu64 ", \"pins\": %" PRIu32 ", \"transfers\": %" PRIu32 ", \"tag\": %" PRIu32
             ", \"owner\": ",
             block->requested, block->pins, block->transfers, block->tag);
      owner->slot != 0 ? printf("%" PRIu32, owner->slot) : printf("\"%s\"", process_states[owner->state]);
    }
    printf("}");
  } else {
    printf("    0x%" PRIx64 "  %" PRIu64 " bytes, %s", block->addr, block->size, state);
    if (block->state != ZCMEM_BLOCK_FREE) {
      printf(", %" PRIu64 " requested", block->requested);
      if (owner->slot != 0) {
        printf(", of process %" PRIu32, owner->slot);
      }
      printf("%s", owner->state == ZCMEM_SHM_SHARED ? ", shared" : "");
    }
    if (block->pins != 0) {
      printf(", %" PRIu32 " pins", block->pins);
    }
    if (block->transfers != 0) {
      printf(", %" PRIu32 " transfers", block->transfers);
    }
    putchar('\n');
  }
  print->first = false;
  return true;
}

static void print_share(struct print *print, const struct share *share, const char *whose, uint32_t slot) {
  if (share->blocks == 0) {
    return;
  }
  if (print->json) {
    printf("%s\n        {\"owner\": ", print->first ? "" : ",");
    slot != 0 ? printf("%" PRIu32, slot) : printf("\"%s\"", whose);
    printf(", \"blocks\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", share->blocks, share->bytes);
  } else {
    printf("  %s", whose);
    if (slot != 0) {
      printf(" %" PRIu32, slot);
    }
    printf(": %" PRIu64 " blocks, %" PRIu64 " bytes\n", share->blocks, share->bytes);
  }
  print->first = false;
}

static void print_owners(struct print *print) {
  print->first = true;
  for (uint32_t i = 0; i < ZCMEM_SHM_MAX_PROCESSES; i++) {
    print_share(print, &print->of[i], "process", i + 1u);
  }
  print_share(print, &print->of[EVERYBODY], "shared", 0);
  print_share(print, &print->of[NOBODY], "nobody", 0);
  print_share(print, &print->zombies, "zombies", 0);
  print_share(print, &print->cached, "cached", 0);
}

static void print_region(const struct zcmem_shm_snapshot *snapshot, uint32_t index, bool json, bool blocks) {
  struct zcmem_shm_snapshot_region region;
  struct print print = {.json = json};
  if (zcmem_shm_snapshot_get_region(snapshot, index, &region) != ZCMEM_OK) {
    return;
  }
  const hal_size_t used = region.heap.size - region.heap.free;
  (void)zcmem_shm_snapshot_walk(snapshot, index, sum_block, &print);
  if (json) {
    printf("%s\n    {\"name\": \"", index == 0 ? "" : ",");
    print_name(region.info.name, true);
    printf("\", \"kind\": %" PRIu32 ", \"base\": \"0x%" PRIx64 "\", \"size\": %" PRIu64 ", \"quantum\": %" PRIu64
           ", \"in_area\": %s, \"in_use\": %" PRIu64 ", \"free\": %" PRIu64 ", \"requested\": %" PRIu64
           ", \"largest\": %" PRIu64 ", \"live\": %" PRIu32 ", \"max_blocks\": %" PRIu32 ", \"whole\": %s,\n"
           "      \"owners\": [",
           region.info.kind, region.info.base, region.info.size, region.info.quantum,
           region.info.mapped ? "true" : "false", used, region.heap.free, region.heap.requested, region.largest,
           region.heap.live, region.info.max_blocks, region.whole ? "true" : "false");
    print_owners(&print);
    printf("]");
    if (blocks) {
      printf(",\n      \"blocks\": [");
      print.first = true;
      (void)zcmem_shm_snapshot_walk(snapshot, index, print_block, &print);
      printf("]");
    }
    printf("}");
    return;
  }
  printf("region %" PRIu32 " \"", index);
  print_name(region.info.name, false);
  printf("\": kind %" PRIu32 ", at 0x%" PRIx64 ", %" PRIu64 " bytes in quanta of %" PRIu64 ", memory %s\n",
         region.info.kind, region.info.base, region.info.size, region.info.quantum,
         region.info.mapped ? "in the area" : "elsewhere");
  printf("  in use %" PRIu64 ", free %" PRIu64 ", largest %" PRIu64 "; %" PRIu32 " of %" PRIu32 " blocks%s\n", used,
         region.heap.free, region.largest, region.heap.live, region.info.max_blocks,
         region.whole ? "" : "; was in the middle of a change, and is shown as a repair leaves it");
  print_owners(&print);
  if (blocks) {
    (void)zcmem_shm_snapshot_walk(snapshot, index, print_block, &print);
  }
}

static void print_processes(const struct zcmem_shm_snapshot *snapshot, bool json) {
  bool first = true;
  for (uint32_t slot = 1; slot <= zcmem_shm_snapshot_processes(snapshot); slot++) {
    struct zcmem_shm_process process;
    if (zcmem_shm_snapshot_get_process(snapshot, slot, &process) != ZCMEM_OK || process.state == ZCMEM_SHM_NOBODY) {
      continue;
    }
    if (json) {
      printf("%s\n    {\"slot\": %" PRIu32 ", \"pid\": %" PRIu32 ", \"start\": %" PRIu64 ", \"state\": \"%s\"}",
             first ? "" : ",", slot, process.pid, process.start, process_states[process.state]);
    } else {
      printf("process %" PRIu32 ": pid %" PRIu32 ", %s\n", slot, process.pid, process_states[process.state]);
    }
    first = false;
  }
}

static void print_area(const struct zcmem_shm_snapshot *snapshot, bool json, bool blocks) {
  const uint32_t regions = zcmem_shm_snapshot_regions(snapshot);
  if (json) {
    printf("{\"max_processes\": %" PRIu32 ",\n  \"processes\": [", zcmem_shm_snapshot_processes(snapshot));
  }
  print_processes(snapshot, json);
  printf("%s", json ? "],\n  \"regions\": [" : "");
  for (uint32_t i = 0; i < regions; i++) {
    print_region(snapshot, i, json, blocks);
  }
  printf("%s", json ? "]}\n" : "");
}

/* ------------------------------------------------------------------------------- as zcmem_hal_dump writes it -- */

struct dump {
  uint32_t region;
  hal_addr_t base;
  uint64_t blocks, live, in_use, requested, available, largest;
};

static bool dump_block(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  struct dump *dump = ctx;
  const bool is_free = block->state == ZCMEM_BLOCK_FREE;
  const bool is_owned = block->state == ZCMEM_BLOCK_LIVE || block->state == ZCMEM_BLOCK_ZOMBIE;
  printf("{\"type\":\"block\",\"region\":%" PRIu32 ",\"offset\":%" PRIu64 ",\"size\":%" PRIu64 ",\"requested\":%" PRIu64
         ",\"state\":\"%s\",\"tag\":%" PRIu32 ",\"pins\":%" PRIu32 ",\"transfers\":%" PRIu32 ",\"owner\":%" PRIu32
         ",\"pid\":%" PRIu32 "}\n",
         dump->region, block->addr - dump->base, block->size, block->requested, block_states[block->state], block->tag,
         block->pins, block->transfers, owner->state == ZCMEM_SHM_SHARED ? DUMP_SHARED : owner->slot, owner->pid);
  dump->blocks++;
  dump->live += is_owned;
  dump->in_use += is_free ? 0 : block->size;
  dump->requested += block->requested;
  dump->available += is_free ? block->size : 0;
  dump->largest = is_free && block->size > dump->largest ? block->size : dump->largest;
  return true;
}

static void dump_region(const struct zcmem_shm_snapshot *snapshot, uint32_t index) {
  struct zcmem_shm_snapshot_region region;
  if (zcmem_shm_snapshot_get_region(snapshot, index, &region) != ZCMEM_OK) {
    return;
  }
  struct dump dump = {.region = index, .base = region.info.base};
  printf("{\"type\":\"region\",\"index\":%" PRIu32 ",\"name\":\"", index);
  print_name(region.info.name, true);
  printf("\",\"kind\":%" PRIu32 ",\"base\":\"0x%" PRIx64 "\",\"size\":%" PRIu64 ",\"quantum\":%" PRIu64
         ",\"max_blocks\":%" PRIu32 ",\"mapped\":%s}\n",
         region.info.kind, region.info.base, region.info.size, region.info.quantum, region.info.max_blocks,
         region.info.mapped ? "true" : "false");
  (void)zcmem_shm_snapshot_walk(snapshot, index, dump_block, &dump);
  const double scattered = dump.available == 0 ? 0 : 1 - (double)dump.largest / (double)dump.available;
  printf("{\"type\":\"end\",\"region\":%" PRIu32 ",\"blocks\":%" PRIu64 ",\"live\":%" PRIu64 ",\"in_use\":%" PRIu64
         ",\"requested\":%" PRIu64 ",\"available\":%" PRIu64 ",\"largest\":%" PRIu64 ",\"fragmentation\":%.0f"
         ",\"changed\":false}\n",
         index, dump.blocks, dump.live, dump.in_use, dump.requested, dump.available, dump.largest, scattered * 1000000);
}

/* The device's name is the one that the HAL of each process has. */
static void dump_area(const struct zcmem_shm_snapshot *snapshot) {
  const uint32_t regions = zcmem_shm_snapshot_regions(snapshot);
  printf("{\"zcmem\":\"dump\",\"version\":1,\"device\":\"shared\",\"regions\":%" PRIu32 "}\n", regions);
  for (uint32_t i = 0; i < regions; i++) {
    dump_region(snapshot, i);
  }
}

static enum zcmem_status take(const char *what, struct zcmem_shm_snapshot **snapshot) {
  enum zcmem_status status = ZCMEM_ENOENT;
  if (what[0] == '/' && strchr(what + 1, '/') == NULL) {
    status = zcmem_shm_snapshot_open(what, snapshot);
  }
  if (status != ZCMEM_ENOENT) {
    return status;
  }
  int fd = open(what, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    perror(what);
    exit(EXIT_BAD);
  }
  status = zcmem_shm_snapshot_take(fd, snapshot);
  (void)close(fd);
  return status;
}

int main(int argc, char **argv) {
  struct zcmem_shm_snapshot *snapshot = NULL;
  bool json = false, blocks = false, dump = false;
  const char *what = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (strcmp(argv[i], "--blocks") == 0) {
      blocks = true;
    } else if (strcmp(argv[i], "--dump") == 0) {
      dump = true;
    } else if (strcmp(argv[i], "--help") == 0) {
      printf(USAGE
             "Prints the processes, regions and owners of an area that processes share, with --blocks each block.\n"
             "With --dump it writes what zcmem_hal_dump does, for zcmem-bench map to draw.\n"
             "NAME is what shm_open was given; FILE also a copy of an area, or /proc/PID/fd/N.\n");
      return 0;
    } else if (argv[i][0] == '-' || what != NULL) {
      fputs(USAGE, stderr);
      return EXIT_USAGE;
    } else {
      what = argv[i];
    }
  }
  if (what == NULL || (dump && (json || blocks))) {
    fputs(USAGE, stderr);
    return EXIT_USAGE;
  }
  enum zcmem_status status = take(what, &snapshot);
  if (status != ZCMEM_OK) {
    fprintf(stderr, "zcmem-inspect: %s: %s\n", what, zcmem_status_string(status));
    return EXIT_BAD;
  }
  if (dump) {
    dump_area(snapshot);
  } else {
    print_area(snapshot, json, blocks);
  }
  zcmem_shm_snapshot_close(snapshot);
  if (fflush(stdout) != 0) {
    perror("zcmem-inspect");
    return EXIT_BAD;
  }
  return 0;
}
