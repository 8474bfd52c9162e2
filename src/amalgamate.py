#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Writes the whole library as two files: amalgamate.py <source root> <zcmem.c> <zcmem.h> [<depfile>]

zcmem.h is the public headers, one after the other; zcmem.c the sources in the order of src/meson.build, with each
private header where it is first included. Every file is taken as it is, but for the inclusions of what is there
already; file-static names differ from file to file (a unity build checks that). Macros leave parts out:

  ZCMEM_CORE_ONLY       all but what zcmem/heap.h declares
  ZCMEM_NO_HOST_DEVICE, ZCMEM_NO_PTHREAD, ZCMEM_NO_MAGAZINES, ZCMEM_NO_SHM   as in the files themselves
  ZCMEM_TI_MALLOC       must be set for TI's reserved names: in zcmem.c, and before zcmem.h is included
"""
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CONDITIONS = {'host_device.c': '#ifndef ZCMEM_NO_HOST_DEVICE', 'ti_malloc.c': '#ifdef ZCMEM_TI_MALLOC'}


class Amalgamation:
    def __init__(self, root):
        self.root = root
        self.read_files = []
        self.seen = set()

    def lines(self, path):
        full = os.path.join(self.root, path)
        self.read_files.append(full)
        with open(full, encoding='utf-8') as file:
            text = file.read().splitlines()
        return text[1:] if text and 'SPDX-License-Identifier' in text[0] else text

    def sources(self):
        """(list, file) for each source of the library, as src/meson.build names them."""
        found, name = [], None
        for line in self.lines('src/meson.build'):
            begins = re.match(r'^(zcmem_\w+) = files\(', line)
            if begins:
                name = begins.group(1)
            elif line.startswith(')'):
                name = None
            elif name is not None:
                found += [(name, file) for file in re.findall(r"'(\w+\.c)'", line)]
        return found

    def header(self):
        """The public headers, each behind those that it includes. Each keeps its guard, so TI's names can be asked for
        later, too."""
        out, done = [], {'zcmem.h'}

        def add(name):
            if name in done:
                return
            done.add(name)
            body = []
            for line in self.lines('include/zcmem/' + name):
                included = INCLUDE.match(line)
                if included is not None and included.group(2).startswith('zcmem/'):
                    add(included.group(2).split('/')[1])
                else:
                    body.append(line)
            out.extend(['', '/* ' + (' zcmem/%s ' % name).rjust(114, '-') + '*/'])
            out.extend(['#ifdef ZCMEM_TI_MALLOC'] + body + ['#endif'] if name == 'ti_malloc.h' else body)

        for line in self.lines('include/meson.build'):
            for name in re.findall(r"'zcmem/(\w+\.h)'", line):
                add(name)
        return out

    def inline(self, file):
        """The lines of a private file, with the private headers that nobody before it has included."""
        out = ['', '/* ' + (' src/%s ' % file).rjust(114, '-') + '*/']
        depth = -1 if file.endswith('.h') else 0  # a header's guard is no condition
        for line in self.lines('src/' + file):
            included = INCLUDE.match(line)
            if re.match(r'^\s*#\s*if', line):
                depth += 1
            elif re.match(r'^\s*#\s*endif', line):
                depth -= 1
            if included is None or (included.group(1) == '<' and not included.group(2).startswith('zcmem/')):
                out.append(line)
            elif included.group(1) == '"' and included.group(2) not in self.seen:
                if depth != 0:
                    sys.exit('amalgamate.py: src/%s includes %s on a condition' % (file, included.group(2)))
                self.seen.add(included.group(2))
                out += self.inline(included.group(2))
        return out

    def source(self):
        out = ['/* What the system declares is decided by the first header of all. */', '#ifndef _GNU_SOURCE',
               '#define _GNU_SOURCE', '#endif', '/* clang asks this only of what stands in no header. */',
               '#if defined(__clang__)', '#pragma clang diagnostic ignored "-Wunused-function"', '#endif', '',
               '#include "zcmem.h"']
        core = True
        for group, file in self.sources():
            if core and group != 'zcmem_core':
                core = False
                out += ['', '#ifndef ZCMEM_CORE_ONLY']
            body = self.inline(file)
            out += [CONDITIONS[file]] + body + ['#endif'] if file in CONDITIONS else body
        return out if core else out + ['', '#endif /* ZCMEM_CORE_ONLY */']

    def preface(self, what):
        version = [line.split('"')[1] for line in self.lines('include/zcmem/version.h') if 'VERSION "' in line][0]
        out = ['/* SPDX-License-Identifier: MIT */', '/*', ' * zcmem %s: %s. Made by src/amalgamate.py of zcmem\'s'
               ' source tree: change it there, not here.' % (version, what), ' *']
        return out + [(' * ' + line).rstrip() for line in self.lines('COPYING')] + [' */']


def write(path, lines):
    with open(path, 'w', encoding='utf-8', newline='\n') as file:
        file.write('\n'.join(lines) + '\n')


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit('usage: amalgamate.py <source root> <zcmem.c> <zcmem.h> [<depfile>]')
    root, source, header = sys.argv[1:4]
    made = Amalgamation(root)
    write(header, made.preface('the public headers') + made.header())
    write(source, made.preface('the library') + made.source())
    if len(sys.argv) == 5:
        needs = ' '.join(path.replace(' ', '\\ ') for path in sorted(set(made.read_files)))
        write(sys.argv[4], ['%s %s: %s' % (source, header, needs)])


main()
