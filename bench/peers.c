/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include "args.h"
#include "report.h"
#include "settings.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------- the driver -- */

static void *driver_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  (void)bytes;
  (void)max_live;
  uint64_t *next = malloc(sizeof *next);
  if (next) {
    *next = base;
  }
  return next;
}

static bool driver_alloc(void *self, uint64_t size, uint64_t align, uint64_t *addr) {
  uint64_t *next = self;
  (void)align;
  *addr = *next;
  *next += size;
  return true;
}

static void driver_free(void *self, uint64_t addr) {
  (void)self;
  (void)addr;
}

const struct bench_peer bench_peer_driver = {"driver", 0, driver_create, free, driver_alloc, driver_free};

/* ------------------------------------------------------------------------------------------------- the line-up -- */

static const char *append(struct bench_lineup *lineup, const struct bench_peer *peer, bool locked) {
  static const char suffix[] = "+mutex";
  if (!peer->name || !peer->create || !peer->destroy || !peer->alloc || !peer->free) {
    return "has an incomplete allocator";
  }
  if (strlen(peer->name) + sizeof suffix > BENCH_MAX_NAME || strpbrk(peer->name, ",\"\r\n")) {
    return "has an allocator whose name is too long or has commas in it";
  }
  if (lineup->count == BENCH_MAX_ENTRIES) {
    return "has more allocators than fit";
  }
  struct bench_entry *entry = &lineup->entry[lineup->count];
  *entry = (struct bench_entry){.peer = peer, .locked = locked};
  snprintf(entry->name, sizeof entry->name, "%s%s", peer->name, locked ? suffix : "");
  for (uint32_t i = 0; i < lineup->count; i++) {
    if (strcmp(lineup->entry[i].name, entry->name) == 0) {
      return "has an allocator whose name is taken";
    }
  }
  lineup->count++;
  return NULL;
}

/* The variants of one allocator that the kind of line-up calls for. */
static const char *append_variants(struct bench_lineup *lineup, enum bench_lineup_kind kind,
                                   const struct bench_peer *peer) {
  const char *what = NULL;
  bool safe = peer->flags & BENCH_PEER_THREAD_SAFE;
  if (safe || kind != BENCH_THREADED) {
    what = append(lineup, peer, false);
  }
  if (!what && !safe && kind != BENCH_BARE) {
    what = append(lineup, peer, true);
  }
  return what;
}

/* NULL: a message was printed. What is loaded stays loaded. */
static const struct bench_peer_list *load(const char *path) {
  char local[4096];
  if (!strchr(path, '/')) { /* or dlopen would look among the system's libraries */
    snprintf(local, sizeof local, "./%s", path);
    path = local;
  }
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!object) {
    bench_error("%s", dlerror());
    return NULL;
  }
  const struct bench_peer_list *list = dlsym(object, ZCMEM_BENCH_PEERS);
  if (!list || list->version != BENCH_PEER_VERSION) {
    bench_error("%s: exports no " ZCMEM_BENCH_PEERS " of version %u", path, BENCH_PEER_VERSION);
    return NULL;
  }
  return list;
}

static bool in_list(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == 0)) {
      return true;
    }
  }
  return false;
}

/* Drops what --only does not name. False: it names one that is not there. */
static bool apply_only(struct bench_lineup *lineup) {
  uint32_t kept = 0;
  uint32_t named = 1;
  for (const char *at = bench_settings.only; (at = strchr(at, ',')) != NULL; at++) {
    named++;
  }
  for (uint32_t i = 0; i < lineup->count; i++) {
    if (in_list(bench_settings.only, lineup->entry[i].name)) {
      lineup->entry[kept++] = lineup->entry[i];
    }
  }
  lineup->count = kept;
  return kept == named;
}

bool bench_entry_is_zcmem(const struct bench_entry *entry) {
  return strcmp(entry->name, "zcmem") == 0;
}

/*
 * The shared objects are loaded before the host's mallocs: a C++ library that comes with one of these, and that a peer
 * needs as well, would take its operator new from the malloc.
 */
static bool load_all(const struct bench_peer_list **lists) {
  for (uint32_t i = 0; i < bench_settings.peers.count; i++) {
    lists[i] = load(bench_settings.peers.text[i]);
    if (!lists[i]) {
      return false;
    }
  }
  return true;
}

static bool append_list(struct bench_lineup *lineup, enum bench_lineup_kind kind, const struct bench_peer_list *list,
                        const char *path) {
  for (uint32_t i = 0; i < list->count; i++) {
    const char *what = append_variants(lineup, kind, &list->peers[i]);
    if (what) {
      bench_error("%s: %s", path, what);
      return false;
    }
  }
  return true;
}

/* What --layer and --magazines say. */
static void append_zcmem(struct bench_lineup *lineup, enum bench_lineup_kind kind) {
  const struct bench_peer *zcmem = &bench_peer_hal;
  bool beside = false;
  if (bench_settings.layer == BENCH_LAYER_HEAP) {
    zcmem = &bench_peer_heap;
  } else if (bench_settings.magazines == BENCH_MAGAZINES_OFF) {
    zcmem = &bench_peer_hal_off;
  } else if (bench_settings.magazines == BENCH_MAGAZINES_CONTEXT) {
    zcmem = &bench_peer_context;
  } else {
    beside = bench_settings.magazines == BENCH_MAGAZINES_BOTH;
  }
  bool locked = kind == BENCH_THREADED && !(zcmem->flags & BENCH_PEER_THREAD_SAFE);
  append(lineup, zcmem, locked);
  if (beside) {
    append(lineup, &bench_peer_hal_beside, locked);
  }
}

int bench_lineup_gather(struct bench_lineup *lineup, enum bench_lineup_kind kind, const char *command) {
  const struct bench_peer *hosts[3];
  const struct bench_peer_list *lists[BENCH_MAX_LIST];
  *lineup = (struct bench_lineup){.count = 0};
  if (bench_settings.layer == BENCH_LAYER_HEAP && kind == BENCH_FACADE) {
    kind = BENCH_BARE;
  }
  if (!load_all(lists)) {
    return BENCH_FAILED;
  }
  append_zcmem(lineup, kind);
  uint32_t host_count = kind == BENCH_BARE ? 0 : bench_host_peers(hosts);
  for (uint32_t i = 0; i < host_count; i++) {
    append(lineup, hosts[i], false);
  }
  for (uint32_t i = 0; i < bench_settings.peers.count; i++) {
    if (!append_list(lineup, kind, lists[i], bench_settings.peers.text[i])) {
      return BENCH_FAILED;
    }
  }
  if (bench_settings.only && !apply_only(lineup)) {
    bench_error("%s: --only %s names an allocator that is not there", command, bench_settings.only);
    return BENCH_USAGE;
  }
  if (bench_settings.driver && !bench_settings.check && lineup->count < BENCH_MAX_ENTRIES) {
    append(lineup, &bench_peer_driver, false);
  }
  return BENCH_OK;
}
