#!/bin/sh
# SPDX-License-Identifier: MIT
# A file includes only lower layers. The order is the one of src/meson.build; a header without a .c of its own (bits.h)
# stands as high as the highest header that it includes. What a private header pulls in counts for who includes it.
#   - a module's .c and .h include private headers only of modules that are listed above it, and its own
#   - core: no header of the system but those that a freestanding C11 compiler has, no public header but heap.h and what
#     that one needs
#   - region, facade: string.h and stdatomic.h besides; tools, threads, hosted: any
#   - public headers: in the order given below, and no private one
. "$(dirname "$0")/common.sh"
cd "$source_root"

public_order='types version heap hal context hardening host_device shm buffer malloc debug ti_malloc zcmem'
core_public='types version heap'
freestanding='float iso646 limits stdalign stdarg stdbool stddef stdint stdnoreturn'

for list in core tools region threads facade hosted; do
  sources $list | sed "s/^/module $list /"
done >"${TMPDIR:-/tmp}/zcmem-layers.$$"
trap 'rm -f "${TMPDIR:-/tmp}/zcmem-layers.$$"' EXIT
for c in src/*.c; do
  grep -q " ${c#src/}\$" "${TMPDIR:-/tmp}/zcmem-layers.$$" || fail "$c is in no list of src/meson.build"
done

grep -H '^ *# *include' src/*.[ch] include/zcmem/*.h |
  sed -E 's/^([^:]+): *# *include *[<"]([^>"]+)[>"].*/include \1 \2/' |
  cat "${TMPDIR:-/tmp}/zcmem-layers.$$" - |
  awk -v public_order="$public_order" -v core_public="$core_public" -v freestanding="$freestanding" '
    function complain(text) { print "FAIL: " text; failed = 1 }
    function member(word, list) { return index(" " list " ", " " word " ") > 0 }
    function stem(path) { sub(/.*\//, "", path); sub(/\.[ch]$/, "", path); return path }
    # The place of a private header: its own module, else the highest of what it includes.
    function place(header, depth,    i, p, highest) {
      if (stem(header) in rank) return rank[stem(header)]
      if (depth > 30) { complain("src/" header " includes itself in the end"); return 0 }
      highest = 0
      for (i = 1; i <= count; i++)
        if (from[i] == "src/" header && to[i] !~ /\// && ("src/" to[i]) in private) {
          p = place(to[i], depth + 1)
          if (p > highest) highest = p
        }
      return highest
    }
    # Is the header reached from core files?
    function mark_core(path,    i) {
      if (path in core_file) return
      core_file[path] = 1
      for (i = 1; i <= count; i++)
        if (from[i] == path && ("src/" to[i]) in private) mark_core("src/" to[i])
    }
    $1 == "module" { rank[stem($3)] = ++ranks; kind[stem($3)] = $2 }
    $1 == "include" { from[++count] = $2; to[count] = $3 }
    END {
      while (("ls src/*.h" | getline file) > 0) private[file] = 1
      for (m in kind) if (kind[m] == "core") mark_core("src/" m ".c")
      n = split(public_order, order, " ")
      for (i = 1; i <= n; i++) public_rank[order[i]] = i
      for (i = 1; i <= count; i++) {
        me = stem(from[i])
        if (from[i] ~ /^include\//) {
          if (!(me in public_rank)) complain(from[i] " has no place in the order of the public headers (layers.sh)")
          if (to[i] ~ /^zcmem\//) {
            if (public_rank[stem(to[i])] >= public_rank[me]) complain(from[i] " includes " to[i] " from above it")
          } else if (!member(stem(to[i]), freestanding))
            complain(from[i] " includes <" to[i] ">, which no freestanding compiler has")
          continue
        }
        if (("src/" to[i]) in private) {
          checked++
          if (me in rank && stem(to[i]) != me && place(to[i], 0) >= rank[me])
            complain(from[i] " includes " to[i] " from its own layer or above")
        } else if (to[i] ~ /^zcmem\//) {
          if (stem(to[i]) == "zcmem") complain(from[i] " includes zcmem/zcmem.h, which is for users")
          if (from[i] in core_file && !member(stem(to[i]), core_public))
            complain(from[i] " belongs to the core and includes " to[i])
        } else if (from[i] in core_file) {
          if (!member(stem(to[i]), freestanding)) complain(from[i] " belongs to the core and includes <" to[i] ">")
        } else if (kind[me] != "hosted" && kind[me] != "threads" && kind[me] != "tools") {
          if (to[i] != "string.h" && to[i] != "stdatomic.h" && (me != "probe" || to[i] != "sys/sdt.h") && !member(stem(to[i]), freestanding))
            complain(from[i] " is not among the hosted files and includes <" to[i] ">")
        }
      }
      if (checked == 0 || ranks == 0) complain("nothing was found to check")
      print ranks " modules, " checked " inclusions of private headers checked"
      exit failed
    }'
