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

static bool read_number(const char *text, uint64_t *value) {
  uint64_t n = 0;
  const char *p = text;
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
  if (*p != 0) {
    static const char suffixes[] = "KMG";
    const char *s = strchr(suffixes, *p);
    if (!s || p[1] != 0) {
      return false;
    }
    shift = 10u * (unsigned)(s - suffixes + 1);
  }
  if (n > UINT64_MAX >> shift) {
    return false;
  }
  *value = n << shift;
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

static bool store(const struct bench_command *command, const struct bench_option *o, const char *text) {
  if (o->kind == BENCH_NUMBER) {
    uint64_t n;
    if (!read_number(text, &n) || n < o->min || n > o->max) {
      fprintf(stderr, "zcmem-bench %s: %s takes a number from %llu to %llu, not '%s'\n", command->name, o->name,
              (unsigned long long)o->min, (unsigned long long)o->max, text);
      return false;
    }
    *(uint64_t *)o->to = n;
  } else if (o->kind == BENCH_TEXT) {
    *(const char **)o->to = text;
  } else {
    struct bench_texts *texts = o->to;
    if (texts->count == BENCH_MAX_TEXTS) {
      fprintf(stderr, "zcmem-bench %s: %s is given more than %u times\n", command->name, o->name, BENCH_MAX_TEXTS);
      return false;
    }
    texts->text[texts->count++] = text;
  }
  return true;
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
  return true;
}
