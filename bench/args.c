/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <stdio.h>
#include <string.h>

static void print_help(const struct bench_command *command) {
  printf("usage: zcmem-bench %s [OPTION]... %s\n%s", command->name, command->operands, command->help);
  printf("\noptions:\n");
  for (uint32_t i = 0; i < command->option_count; i++) {
    const struct bench_option *o = &command->options[i];
    char left[40];
    snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    printf("  %-22s %s\n", left, o->help);
  }
  printf("  %-22s %s\n", "--csv", "print rows of workload,parameters,allocator,metric,value,unit");
  printf("  %-22s %s\n", "--help", "this text");
}

/* A number at *text, which is moved behind it. */
static bool read_number(const char **text, uint64_t *value) {
  static const char suffixes[] = "KMG";
  uint64_t n = 0;
  const char *p = *text;
  if (*p < '0' || *p > '9') {
    return false;
  }
  for (; *p >= '0' && *p <= '9'; p++) {
    uint64_t digit = (uint64_t)(*p - '0');
    if (n > (UINT64_MAX - digit) / 10) {
      return false;
    }
    n = n * 10 + digit;
  }
  unsigned shift = 0;
  const char *suffix = *p ? strchr(suffixes, *p) : NULL;
  if (suffix) {
    shift = 10u * (unsigned)(suffix - suffixes + 1);
    p++;
  }
  if (n > UINT64_MAX >> shift) {
    return false;
  }
  *value = n << shift;
  *text = p;
  return true;
}

/* A number within the option's limits. */
static bool read_limited(const struct bench_option *o, const char **text, uint64_t *value) {
  return read_number(text, value) && *value >= o->min && *value <= o->max;
}

static bool read_range(const struct bench_option *o, const char **text, struct bench_range *range) {
  if (!read_limited(o, text, &range->min)) {
    return false;
  }
  range->max = range->min;
  if (**text == '-') {
    ++*text;
    return read_limited(o, text, &range->max) && range->max >= range->min;
  }
  return true;
}

/* Numbers or ranges with commas between them. A list given again replaces the first one. */
static bool read_list(const struct bench_option *o, const char *text) {
  struct bench_numbers *numbers = o->to;
  struct bench_ranges *ranges = o->to;
  uint32_t count = 0;
  do {
    if (count == BENCH_MAX_LIST) {
      return false;
    }
    if (o->kind == BENCH_NUMBERS ? !read_limited(o, &text, &numbers->value[count])
                                 : !read_range(o, &text, &ranges->range[count])) {
      return false;
    }
    count++;
  } while (*text == ',' && text++);
  *(o->kind == BENCH_NUMBERS ? &numbers->count : &ranges->count) = count;
  return *text == 0;
}

static bool read_choice(const struct bench_option *o, const char *text) {
  size_t n = strlen(text);
  uint32_t index = 0;
  for (const char *at = o->value; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL, index++) {
    if (strncmp(at, text, n) == 0 && (at[n] == '|' || at[n] == 0)) {
      *(uint32_t *)o->to = index;
      return true;
    }
  }
  return false;
}

static bool read_whole(const struct bench_option *o, const char *text) {
  uint64_t n;
  if (!read_limited(o, &text, &n) || *text) {
    return false;
  }
  *(uint64_t *)o->to = n;
  return true;
}

static const struct bench_option *find_option(const struct bench_command *command, const char *name) {
  for (uint32_t i = 0; i < command->option_count; i++) {
    if (strcmp(command->options[i].name, name) == 0) {
      return &command->options[i];
    }
  }
  return NULL;
}

static bool complain(const struct bench_command *command, const struct bench_option *o, const char *text) {
  fprintf(stderr, "zcmem-bench %s: %s takes ", command->name, o->name);
  if (o->kind == BENCH_CHOICE) {
    fprintf(stderr, "%s", o->value);
  } else {
    const char *what = o->kind == BENCH_NUMBER ? "a number" : o->kind == BENCH_NUMBERS ? "numbers" : "sizes (N or N-M)";
    fprintf(stderr, "%s from %llu to %llu", what, (unsigned long long)o->min, (unsigned long long)o->max);
  }
  fprintf(stderr, ", not '%s'\n", text);
  return false;
}

static bool store(const struct bench_command *command, const struct bench_option *o, const char *text) {
  struct bench_texts *texts = o->to;
  switch (o->kind) {
  case BENCH_NUMBER:
    return read_whole(o, text) || complain(command, o, text);
  case BENCH_NUMBERS:
  case BENCH_RANGES:
    return read_list(o, text) || complain(command, o, text);
  case BENCH_CHOICE:
    return read_choice(o, text) || complain(command, o, text);
  case BENCH_TEXT:
    *(const char **)o->to = text;
    return true;
  case BENCH_TEXTS:
    if (texts->count == BENCH_MAX_LIST) {
      fprintf(stderr, "zcmem-bench %s: %s is given more than %u times\n", command->name, o->name, BENCH_MAX_LIST);
      return false;
    }
    texts->text[texts->count++] = text;
    return true;
  case BENCH_FLAG:
    break;
  }
  return false;
}

bool bench_args_parse(const struct bench_command *command, int argc, char **argv, int *operands, int *exit_status) {
  int count = 0;
  bool options_ended = false;
  *exit_status = BENCH_USAGE;
  for (int i = 0; i < argc; i++) {
    if (options_ended || argv[i][0] != '-' || argv[i][1] == 0) {
      argv[count++] = argv[i];
      continue;
    }
    if (strcmp(argv[i], "--") == 0) {
      options_ended = true;
      continue;
    }
    if (strcmp(argv[i], "--help") == 0) {
      print_help(command);
      *exit_status = BENCH_OK;
      return false;
    }
    const struct bench_option *o = find_option(command, argv[i]);
    if (!o) {
      fprintf(stderr, "zcmem-bench %s: no option '%s' (try --help)\n", command->name, argv[i]);
      return false;
    }
    if (o->kind == BENCH_FLAG) {
      *(bool *)o->to = true;
      continue;
    }
    if (i + 1 == argc) {
      fprintf(stderr, "zcmem-bench %s: %s needs a value\n", command->name, o->name);
      return false;
    }
    if (!store(command, o, argv[++i])) {
      return false;
    }
  }
  if (count < command->min_operands || (command->max_operands >= 0 && count > command->max_operands)) {
    fprintf(stderr, "zcmem-bench %s: usage: zcmem-bench %s [OPTION]... %s (try --help)\n", command->name, command->name,
            command->operands);
    return false;
  }
  *operands = count;
  *exit_status = BENCH_OK;
  return true;
}
