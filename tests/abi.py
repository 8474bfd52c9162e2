#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The binary interface as text: abi.py <include directory> <C compiler...>

Of each structure of the public headers its size and alignment, of each member offset and size; of each constant of an
enumeration, and each macro that is a number, its value. A program that the compiler makes of the headers prints it, so
members cannot be forgotten: the list is read from the headers, the numbers are the compiler's.
"""
import os
import re
import subprocess
import sys
import tempfile


def without_comments(text):
    return re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)


def members_of(body):
    """Names of the members of a structure; those of function pointers, arrays and lists, too."""
    names = []
    for declaration in body.split(';'):
        declaration = declaration.strip()
        if not declaration:
            continue
        pointer = re.match(r'[^(]*\(\s*\*\s*(\w+)\s*\)\s*\(', declaration)
        if pointer:
            names.append(pointer.group(1))
            continue
        for part in declaration.split(','):
            found = re.search(r'(\w+)\s*(\[[^\]]*\])*\s*$', part)
            assert found, 'what is declared here? ' + declaration
            names.append(found.group(1))
    return names


def lines_of(header, text):
    """Pairs of (what to print, C expressions) for one header."""
    code = without_comments(text)
    found = []
    for match in re.finditer(r'\bstruct (\w+) \{([^{}]*)\};', code):
        name, body = match.groups()
        found.append(('struct ' + name, 'sizeof(struct %s), _Alignof(struct %s)' % (name, name), 'size %zu align %zu'))
        for member in members_of(body):
            found.append(('  %s.%s' % (name, member), 'offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s)' %
                          (name, member, name, member), 'at %zu size %zu'))
    assert len(re.findall(r'\bstruct \w+ \{', code)) == len(re.findall(r'\bstruct (\w+) \{([^{}]*)\};', code)), header
    for match in re.finditer(r'\benum( \w+)? \{([^{}]*)\};', code):
        for constant in match.group(2).split(','):
            constant = constant.split('=')[0].strip()
            if constant:
                found.append((constant, '(long long)' + constant, '%lld'))
    for match in re.finditer(r'^#define (ZCMEM_\w+|HAL_\w+) (?!extern|__)(\S.*)$', code, flags=re.M):
        name, value = match.groups()
        if name.startswith('ZCMEM_VERSION'):
            continue  # these change with each version
        if value.startswith('"'):
            found.append((name, name, '%s'))
        elif re.match(r'^[(0-9U]', value):
            found.append((name, '(unsigned long long)' + name, '%llu'))
    return found


def main():
    include, compiler = sys.argv[1], sys.argv[2:]
    source = ['#include <stddef.h>', '#include <stdio.h>', '#include <zcmem/zcmem.h>', '#include <zcmem/ti_malloc.h>',
              'int main(void) {']
    for header in sorted(os.listdir(os.path.join(include, 'zcmem'))):
        with open(os.path.join(include, 'zcmem', header), encoding='utf-8') as file:
            lines = lines_of(header, file.read())
        if lines:
            source.append('puts("# %s");' % header)
        for what, expressions, form in lines:
            source.append('printf("%s %s\\n", %s);' % (what, form, expressions))
    source.append('return 0; }')
    with tempfile.TemporaryDirectory() as work:
        with open(os.path.join(work, 'abi.c'), 'w', encoding='utf-8') as file:
            file.write('\n'.join(source) + '\n')
        program = os.path.join(work, 'abi')
        subprocess.run(compiler + ['-std=c11', '-w', '-I', include, '-o', program, os.path.join(work, 'abi.c')],
                       check=True)
        text = subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode()
    # Strings of magic numbers are not all text.
    sys.stdout.write(text.encode('ascii', 'backslashreplace').decode().replace('\1', '\\1'))


main()
