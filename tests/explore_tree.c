/* SPDX-License-Identifier: MIT */
/*
 * The tree of decisions, of which a schedule is a path: depth first, each path once. A path has a text, of the
 * decisions that are not the obvious ones, by which it can be taken again.
 */
#include "explore_impl.h"
#include "unit.h"
#include <string.h>

enum { DECISIONS = 1 << 13 };

static struct decision {
  uint64_t step;
  unsigned count, chosen;
  uint8_t option[EXPLORE_OPTIONS];
} decisions[DECISIONS];
static unsigned depth;     /* decisions that are there */
static unsigned at;        /* and that were passed in this schedule */
static bool repeating;     /* the path of a text */
static const char *script; /* what is left of it */

void explore_tree_clear(void) {
  depth = 0;
}

void explore_tree_begin(void) {
  at = 0;
}

void explore_tree_repeat(const char *text) {
  repeating = text != NULL;
  script = text;
  depth = 0;
}

bool explore_tree_repeating(void) {
  return repeating;
}

void explore_tree_write(char *text, size_t bytes) {
  size_t length = 0;
  text[0] = '\0';
  for (unsigned i = 0; i < at && i < depth && length < bytes; i++) {
    const struct decision *decision = &decisions[i];
    if (decision->chosen != 0) {
      unsigned option = decision->option[decision->chosen];
      length += (size_t)snprintf(text + length, bytes - length, "%s%llu:%u%s", length == 0 ? "" : ",",
                                 (unsigned long long)decision->step, option % EXPLORE_LATER,
                                 option >= EXPLORE_LATER ? "l" : "");
    }
  }
}

/* What the text says for this step, if it says anything. */
static unsigned scripted(const struct decision *decision) {
  char *end = NULL;
  if (script == NULL || strtoull(script, &end, 10) != decision->step || *end != ':') {
    return 0;
  }
  unsigned option = (unsigned)strtoul(end + 1, &end, 10);
  if (*end == 'l') {
    option += EXPLORE_LATER;
    end++;
  }
  script = *end == ',' ? end + 1 : NULL;
  for (unsigned i = 0; i < decision->count; i++) {
    if (decision->option[i] == option) {
      return i;
    }
  }
  explore_fail("the schedule is none of this program's: it has no such step");
}

uint8_t explore_tree_choose(uint64_t step, const uint8_t *option, unsigned count) {
  if (at == depth) {
    if (depth == DECISIONS) {
      explore_fail("too many decisions");
    }
    struct decision *made = &decisions[depth++];
    *made = (struct decision){.step = step, .count = count};
    memcpy(made->option, option, EXPLORE_OPTIONS);
    made->chosen = repeating ? scripted(made) : 0;
  }
  const struct decision *decision = &decisions[at++];
  if (decision->step != step || decision->count != count) {
    explore_fail("the same decisions lead elsewhere: the scenario has state outside of its world");
  }
  return decision->option[decision->chosen];
}

bool explore_tree_advance(void) {
  while (depth > 0 && decisions[depth - 1].chosen + 1 >= decisions[depth - 1].count) {
    depth--;
  }
  if (depth == 0) {
    return false;
  }
  decisions[depth - 1].chosen++;
  return true;
}
