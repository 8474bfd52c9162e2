/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "shm_victim.h"

#include <sys/mman.h>

#include "shm_slots.h"
#include "stepper.h"

const char *const victim_names[VICTIM_KINDS] = {"alloc",
                                                "alloc_kind",
                                                "alloc_batch",
                                                "free",
                                                "free_deferred",
                                                "free_batch",
                                                "resize",
                                                "pin",
                                                "unpin",
                                                "map",
                                                "unmap",
                                                "read",
                                                "write",
                                                "fill",
                                                "copy",
                                                "share",
                                                "own",
                                                "get_owner",
                                                "reap",
                                                "check",
                                                "open",
                                                "close",
                                                "alloc in a child of fork"};

/* Everything is of the child alone. */
static struct {
  struct stepper stepper;
  bool stepping; /* what is mapped from now on is watched, too */
  void *area;
  size_t bytes;
  uint64_t store, stores;
  int fd;
  struct zcmem_shm *shm;
  const struct zcmem_shm_config *config;
  const struct victim_call *call;
  struct victim_answer answer;
} victim;

/* ------------------------------------------------------------------- what is watched: the linker leads them here -- */

void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__real_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t bytes);

static void watch(void *area, size_t bytes) {
  victim.stepper.watch = area;
  victim.stepper.bytes = bytes;
}

static void *note_map(void *at, size_t bytes, int flags, int fd) {
  if (at != MAP_FAILED && (flags & MAP_SHARED) != 0 && fd >= 0) {
    victim.area = at;
    victim.bytes = bytes;
    if (victim.stepping) {
      watch(at, bytes);
      SHM_REQUIRE(mprotect(at, bytes, PROT_READ) == 0);
    }
  }
  return at;
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return note_map(__real_mmap(at, bytes, protection, flags, fd, offset), bytes, flags, fd);
}

void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return note_map(__real_mmap64(at, bytes, protection, flags, fd, offset), bytes, flags, fd);
}

int __wrap_munmap(void *at, size_t bytes) {
  if (at == victim.stepper.watch) {
    watch(NULL, 0);
  }
  return __real_munmap(at, bytes);
}

/* ------------------------------------------------------------------------------------------------ what it calls -- */

/* "far" is mapped on demand. */
static int map_far(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)size;
  (void)flags;
  *host = shm_far + (addr - FAR_BASE);
  return 0;
}

static int unmap_far(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx;
  (void)size;
  return host == shm_far + (addr - FAR_BASE) ? 0 : -1;
}

static enum zcmem_status open_area(void) {
  static const struct zcmem_region_ops ops = {.map = map_far, .unmap = unmap_far};
  const struct zcmem_shm_access access = {.region = "far", .ops = &ops};
  const struct zcmem_shm_open_config config = {
      .fd = victim.fd, .flags = ZCMEM_SHM_CHECK, .max_mappings = 16, .access = &access, .access_count = 1};
  return zcmem_shm_open(&config, &victim.shm);
}

static enum zcmem_status unmap(struct zcmem_hal *hal, const struct victim_call *call) {
  void *host = call->region == 0 ? NULL : shm_far + (call->addr - FAR_BASE);
  if (call->region == 0 && zcmem_mem_host(hal, call->addr, VICTIM_BYTES, &host) != ZCMEM_OK) {
    return ZCMEM_ENOTMAPPED;
  }
  return zcmem_mem_unmap(hal, host);
}

static enum zcmem_status alloc_batch(struct zcmem_hal *hal, const struct victim_call *call, hal_addr_t *addrs) {
  struct zcmem_batch_item items[VICTIM_BATCH];
  for (unsigned i = 0; i < VICTIM_BATCH; i++) {
    items[i] = (struct zcmem_batch_item){.size = call->size + 100 * i, .align = 1};
  }
  return zcmem_mem_alloc_batch(hal, call->region, items, VICTIM_BATCH, addrs);
}

static enum zcmem_status transfer(struct zcmem_hal *hal, const struct victim_call *call) {
  unsigned char bytes[VICTIM_BYTES] = {1, 2, 3};
  switch (call->kind) {
  case VICTIM_READ:
    return zcmem_mem_read(hal, bytes, call->addr, sizeof bytes);
  case VICTIM_WRITE:
    return zcmem_mem_write(hal, call->addr, bytes, sizeof bytes);
  case VICTIM_FILL:
    return zcmem_mem_fill(hal, call->addr, bytes, 4, sizeof bytes);
  default:
    return zcmem_mem_copy(hal, call->addr, call->from, sizeof bytes);
  }
}

static enum zcmem_status perform(const struct victim_call *call, struct victim_answer *answer) {
  struct zcmem_hal *hal = zcmem_shm_hal(victim.shm);
  struct zcmem_shm_process owner;
  void *host;
  switch (call->kind) {
  case VICTIM_ALLOC:
  case VICTIM_FORK:
    return zcmem_mem_alloc(hal, call->region, call->size, call->align, &answer->addrs[0]);
  case VICTIM_ALLOC_KIND:
    return zcmem_mem_alloc_kind(hal, call->region == 0 ? ZCMEM_KIND_DRAM : ZCMEM_KIND_MSMC, call->size, call->align,
                                &answer->addrs[0]);
  case VICTIM_ALLOC_BATCH:
    return alloc_batch(hal, call, answer->addrs);
  case VICTIM_FREE:
    return zcmem_mem_free(hal, call->addr);
  case VICTIM_FREE_DEFERRED:
    return zcmem_mem_free_deferred(hal, call->addr);
  case VICTIM_FREE_BATCH:
    return zcmem_mem_free_batch(hal, call->addrs, VICTIM_BATCH, NULL);
  case VICTIM_RESIZE:
    return zcmem_mem_resize(hal, call->addr, call->size);
  case VICTIM_PIN:
    return zcmem_mem_pin(hal, call->addr);
  case VICTIM_UNPIN:
    return zcmem_mem_unpin(hal, call->addr);
  case VICTIM_MAP:
    return zcmem_mem_map(hal, call->addr, VICTIM_BYTES, ZCMEM_MAP_READ, &host);
  case VICTIM_UNMAP:
    return unmap(hal, call);
  case VICTIM_SHARE:
    return zcmem_shm_share(victim.shm, call->addr);
  case VICTIM_OWN:
    return zcmem_shm_own(victim.shm, call->addr);
  case VICTIM_GET_OWNER:
    return zcmem_shm_get_owner(victim.shm, call->addr, &owner);
  case VICTIM_REAP:
    return zcmem_shm_reap(victim.shm, NULL);
  case VICTIM_CHECK:
    return zcmem_shm_check(victim.shm);
  case VICTIM_OPEN:
    return open_area();
  case VICTIM_CLOSE:
    return zcmem_shm_close(victim.shm);
  default:
    return transfer(hal, call);
  }
}

/* ---------------------------------------------------------------------------------------------- how it is killed -- */

static void die(void) {
  (void)kill(getpid(), SIGKILL);
}

static void call_body(void *ctx) {
  (void)ctx;
  if (victim.config != NULL) {
    victim.answer.status = zcmem_shm_create(victim.config, &victim.shm);
  } else {
    victim.answer.status = perform(victim.call, &victim.answer);
  }
}

static void store_seen(void *ctx) {
  (void)ctx;
  if (++victim.stores == victim.store) {
    die();
  }
}

/* Makes the call; nobody comes back from it. */
static void step(uint64_t store, struct victim_log *log) {
  const struct victim_answer none = {.status = ZCMEM_OK};
  victim.answer = none;
  victim.stepper.body = call_body;
  victim.stepper.seen = store_seen;
  victim.store = store;
  victim.stepping = true;
  watch(victim.area, victim.bytes);
  stepper_run(&victim.stepper);
  if (victim.config == NULL && victim.call->kind != VICTIM_CLOSE) {
    victim.answer.slot = zcmem__atomic_acquire(&victim.shm->slot);
  }
  log->answers[log->ended] = victim.answer;
  log->ended++;
  log->stores = victim.stores;
  die();
}

static void step_in_child(uint64_t store, struct victim_log *log) {
  int status;
  const pid_t pid = shm_fork();
  SHM_REQUIRE(pid >= 0);
  if (pid == 0) {
    step(store, log);
  }
  SHM_REQUIRE(waitpid(pid, &status, 0) == pid);
  SHM_REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  die();
}

static void live(int fd, const struct victim_call *script, uint32_t count, uint64_t store, struct victim_log *log) {
  victim.area = NULL;
  victim.bytes = 0;
  victim.fd = fd;
  SHM_REQUIRE(script[0].kind == VICTIM_OPEN || open_area() == ZCMEM_OK);
  for (uint32_t i = 0; i + 1 < count; i++) {
    const struct victim_answer none = {.status = ZCMEM_OK};
    victim.answer = none;
    victim.answer.status = perform(&script[i], &victim.answer);
    victim.answer.slot = zcmem__atomic_acquire(&victim.shm->slot);
    log->answers[i] = victim.answer;
    log->ended = i + 1;
  }
  victim.call = &script[count - 1];
  if (victim.call->kind == VICTIM_FORK) {
    step_in_child(store, log);
  }
  step(store, log);
}

static void wait_for_death(pid_t pid) {
  int status;
  assert_true(pid > 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* no mistake of its own was faster */
}

void victim_run(int fd, const struct victim_call *script, uint32_t count, uint64_t store, struct victim_log *log) {
  memset(log, 0, sizeof *log);
  const pid_t pid = shm_fork();
  if (pid == 0) {
    live(fd, script, count, store, log);
  }
  wait_for_death(pid);
}

void victim_create(const struct zcmem_shm_config *config, uint64_t store, struct victim_log *log) {
  memset(log, 0, sizeof *log);
  const pid_t pid = shm_fork();
  if (pid == 0) {
    victim.area = NULL;
    victim.bytes = 0;
    victim.config = config;
    step(store, log);
  }
  wait_for_death(pid);
}

struct victim_log *victim_log_make(void) {
  void *memory = mmap(NULL, sizeof(struct victim_log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  return memory;
}

void victim_log_drop(struct victim_log *log) {
  assert_int_equal(munmap(log, sizeof *log), 0);
}
