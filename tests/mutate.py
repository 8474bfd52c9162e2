#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutation testing of the core, L1 to L3: one operator or constant is changed at a time, and some test must notice.

  tests/mutate.py                      300 mutants, drawn by a fixed seed
  tests/mutate.py --all                all of them (hours)
  tests/mutate.py --sample N --seed S  others
  tests/mutate.py heap.c bin.h ...     of these files alone
  tests/mutate.py --list               what would be changed

A mutant is killed if a test fails, crashes, traps or hangs (ten times as long as the real library, and five seconds).
Those that do not compile, or compile to the same code as the original, are left out and counted apart. A mutant that
survives must stand in tests/mutate.txt with the reason why no test can notice it; one that does not makes this fail.
One that is listed but killed is reported: a thread's test may get there by chance.
The last line is the sum. Builds under build-mutate/ (or $ZCMEM_MUTATE_DIR); needs python3, gcc, meson, CMocka.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.environ.get('ZCMEM_MUTATE_DIR', os.path.join(ROOT, 'build-mutate'))
FLAGS = ['-std=c11', '-O1', '-w', '-fPIC', '-pthread', '-DZCMEM_COUNT_STEPS']

CORE = ['heap_image', 'heap_use', 'heap_corners', 'corners', 'model', 'model_steps', 'bug_sequences', 'heap', 'exhaustive',
        'invariants', 'steps', 'untrusted_image']
REPAIR = ['heap_repair', 'heap_kill', 'shm', 'shm_snapshot', 'heap_killed'] + CORE
CHECK = ['invariants', 'untrusted_image'] + CORE
HARDENING = ['red_zones', 'quarantine', 'hardening_random', 'handles', 'misuse']
LOOKUPS = ['look_ups'] + CORE
REGION = ['corners', 'region', 'hal', 'mem', 'translate', 'alias', 'look_ups', 'transfer', 'use_races']
# What is changed, and which tests are asked first; then all others, the likely ones before the unlikely ones.
FILES = {
    'sizeclass.h': CORE, 'heap_impl.h': CORE, 'binmap.h': CORE, 'index.c': LOOKUPS, 'index.h': LOOKUPS, 'wide.c': CORE,
    'wide.h': CORE, 'bin.c': CORE, 'bin.h': CORE, 'bits.h': CORE, 'heap_image.c': CORE, 'heap.c': CORE,
    'heap_ops.h': CORE, 'heap_parts.h': CORE, 'heap_resize.c': CORE, 'heap_use.c': CORE,
    'heap_check.c': CHECK, 'heap_check_bins.c': CHECK, 'checker.h': CHECK, 'heap_repair.c': REPAIR,
    'zone.c': HARDENING, 'zone.h': HARDENING, 'guard.c': HARDENING, 'quarantine.c': HARDENING,
    'quarantine.h': HARDENING, 'event.c': ['debug'], 'record.c': ['debug'], 'record.h': ['debug'],
    'interval.c': ['interval', 'buffer_overlap'],
    'lock.c': ['lock'] + REGION, 'lock.h': ['lock'] + REGION, 'moved.h': REGION, 'region.c': REGION, 'region.h': REGION,
    'map.h': ['map', 'alias', 'translate'],
    'map.c': ['map', 'malloc_mapped', 'translate', 'alias', 'buffer_mapped', 'malloc_races'],
    'move.c': ['corners', 'transfer', 'transfer_faults', 'coherency', 'alias', 'buffer_shadow', 'map',
               'coherency_random'],
}
OTHERS = ['arithmetic', 'batch', 'magazines', 'magazines_misuse', 'magazines_model', 'buffer', 'buffer_life',
          'buffer_access', 'buffer_faults', 'review_buffers', 'malloc', 'malloc_realloc', 'host_device',
          'malloc_default', 'hal_threads', 'transfer_threads', 'translate_threads', 'heap_footprint']
# Short runs.
ENVIRONMENT = {'model': {'ZCMEM_TEST_OPS': '50000'}, 'model_steps': {'ZCMEM_TEST_OPS': '50000'},
               'steps': {'ZCMEM_TEST_OPS': '50000'}, 'exhaustive': {'ZCMEM_TEST_DEPTH': '-1'},
               'untrusted_image': {'ZCMEM_TEST_OPS': '20'}, 'heap_kill': {'ZCMEM_TEST_OPS': '3000'},
               'heap_killed': {'ZCMEM_TEST_OPS': '40'}, 'heap_repair': {'ZCMEM_TEST_OPS': '10'},
               'hardening_random': {'ZCMEM_TEST_OPS': '400'}}

# ------------------------------------------------------------------------------------------------------- mutants --

# clang-format puts a space on both sides of a binary operator, and none behind a unary one.
BINARY = {'<': ['<=', '>='], '<=': ['<', '>'], '>': ['>=', '<='], '>=': ['>', '<'], '==': ['!='], '!=': ['=='],
          '+': ['-'], '-': ['+'], '*': ['+'], '/': ['*'], '%': ['/'], '<<': ['>>'], '>>': ['<<'], '&': ['|'],
          '|': ['&'], '^': ['|'], '&&': ['||'], '||': ['&&'], '+=': ['-='], '-=': ['+='], '|=': ['&='], '&=': ['|=']}
OPERATOR = re.compile(r'(?<= )(<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\|=|&=|[-<>+*/%&|^])(?= |$)')
DECLARATION = re.compile(r'\b(char|void|struct \w+|uint\w+|type)\s$')
STEP = re.compile(r'\+\+|--')
NUMBER = re.compile(r'(?<![\w.])(0x[0-9a-fA-F]+|\d+)(u?)(?![\w.])')
WORD = re.compile(r'\b(true|false)\b')
NOT = re.compile(r'(?<![\w)=!])!(?=[\w(*])|~(?=[\w(])')
SKIP = re.compile(r'^\s*(#|_Static_assert|ZCMEM__ASSERT|__asm__|case |ZCMEM__STEP|/?\*)')


def code_of(text):
    """The text with comments, strings and the preprocessor's lines blanked out, of the same length."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group(0))
    text = re.sub(r'/\*.*?\*/|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'', blank, text, flags=re.S)
    return re.sub(r'^[ \t]*#(.*\\\n)*.*', blank, text, flags=re.M)


def mutants_of(name):
    """(file, offset, old, new, line number, line, column in the stripped line), in the order of the text."""
    with open(os.path.join(ROOT, 'src', name), encoding='utf-8') as file:
        text = file.read()
    code = code_of(text)
    # A branch for a compiler without the builtins, or for another machine, is not compiled here: it leaves the object
    # as it is, and so counts as one with the same code.
    found = []
    start = 0
    for number, line in enumerate(code.splitlines(keepends=True), 1):
        if not SKIP.match(line):
            for match in OPERATOR.finditer(line.rstrip('\n')):
                if match.group(1) == '*' and DECLARATION.search(line[:match.start()]):
                    continue
                found += [(name, start + match.start(), match.group(1), new, number) for new in BINARY[match.group(1)]]
            for match in STEP.finditer(line):
                other = {'++': '--', '--': '++'}[match.group(0)]
                found.append((name, start + match.start(), match.group(0), other, number))
            for match in NUMBER.finditer(line):
                value = int(match.group(1), 0)
                for new in sorted({value + 1, 0 if value > 1 else value - 1}):
                    if new >= 0:
                        found.append((name, start + match.start(), match.group(0), str(new) + match.group(2), number))
            for match in WORD.finditer(line):
                other = {'true': 'false', 'false': 'true'}[match.group(0)]
                found.append((name, start + match.start(), match.group(0), other, number))
            for match in NOT.finditer(line):
                found.append((name, start + match.start(), match.group(0), '', number))
        start += len(line)
    lines = text.splitlines()
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    stripped = [line.strip() for line in lines]
    for name_, offset, old, new, number in sorted(set(found), key=lambda m: (m[1], m[3])):
        line = lines[number - 1]
        column = offset - starts[number - 1] - (len(line) - len(line.lstrip()))
        nth = stripped[:number].count(stripped[number - 1])
        yield {'file': name_, 'offset': offset, 'old': old, 'new': new, 'number': number,
               'key': '%s: %s%s @%d %s -> %s' % (name_, line.strip(), ' (#%d)' % nth if nth > 1 else '', column, old,
                                                 new or 'nothing')}


# ---------------------------------------------------------------------------------------------------------- builds --

def run(command, **how):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **how)


def need(done, what):
    if done.returncode != 0:
        print(done.stdout)
        sys.exit('mutate.py: ' + what)


def prepare():
    """Builds the tests' own objects by Meson, and links each with a shared library that can be exchanged."""
    build = os.path.join(WORK, 'tests')
    if not os.path.exists(os.path.join(build, 'build.ninja')):
        need(run(['meson', 'setup', build, ROOT, '-Doptimization=2', '-Dbench=disabled', '-Dexamples=disabled']),
             'meson setup')
    targets = json.loads(run(['meson', 'introspect', '--targets', build]).stdout)
    names = {t['name'] for t in targets if t['type'] == 'executable'}
    wanted = [n for n in dict.fromkeys(sum(FILES.values(), []) + OTHERS) if 'test_' + n in names]
    need(run(['ninja', '-C', build] + ['tests/test_' + n for n in wanted]), 'the tests do not build')
    with open(os.path.join(build, 'build.ninja'), encoding='utf-8') as file:
        ninja = file.read()
    original = Place('original')
    sources = sorted(os.path.basename(c) for c in glob.glob(ROOT + '/src/*.c'))
    need(original.compile(sources), 'the library does not build')
    need(original.link(), 'the library does not link')
    programs = os.path.join(WORK, 'programs')
    os.makedirs(programs, exist_ok=True)
    for name in wanted:
        rule = re.search(r'^build tests/test_%s: c_LINKER (.*)\n((?: .*\n)+)' % name, ninja, flags=re.M)
        objects = [o for o in rule.group(1).split(' | ')[0].split() if '/test_%s.p/' % name in o]
        wraps = re.findall(r'-Wl,--wrap=\w+', rule.group(2))
        need(run(['gcc', '-o', os.path.join(programs, name)] + [os.path.join(build, o) for o in objects] + wraps +
                 ['-L' + original.path, '-lzcmem', '-lcmocka', '-pthread']), 'test_%s does not link' % name)
    return original, wanted


class Place:
    """A copy of src/ with its objects and the library made of them; one for each that works at the same time."""

    def __init__(self, name):
        self.path = os.path.join(WORK, name)
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, 'src'), os.path.join(self.path, 'src'))
        os.symlink(os.path.join(ROOT, 'include'), os.path.join(self.path, 'include'))
        with open(os.path.join(self.path, 'steps.c'), 'w', encoding='utf-8') as file:
            file.write('#include <stdint.h>\n__attribute__((weak)) uint64_t zcmem_steps;\n')
        need(run(['gcc', '-fPIC', '-c', 'steps.c'], cwd=self.path), 'gcc')

    def compile(self, names):
        for name in names:
            done = run(['gcc'] + FLAGS + ['-Iinclude', '-c', 'src/' + name, '-o', name + '.o'], cwd=self.path)
            if done.returncode != 0:
                return done
        return done

    def link(self):
        objects = sorted(os.path.basename(o) for o in glob.glob(self.path + '/*.o'))
        return run(['gcc', '-shared', '-o', 'libzcmem.so'] + objects + ['-pthread'], cwd=self.path)

    def objects(self, names):
        result = []
        for name in names:
            with open(os.path.join(self.path, name + '.o'), 'rb') as file:
                result.append(file.read())
        return result


def users_of(header):
    """The .c files that include it, by whatever way."""
    texts = {os.path.basename(f): open(f, encoding='utf-8').read() for f in glob.glob(ROOT + '/src/*.[ch]')}
    including, grown = {header}, True
    while grown:
        more = {f for f, text in texts.items() if any('#include "%s"' % i in text for i in including)}
        grown = not more <= including
        including |= more
    return sorted(f for f in including if f.endswith('.c'))


# ------------------------------------------------------------------------------------------------------------ runs --

def test(place, name, limit):
    """'' if the test passes, else how it ended."""
    arguments = []
    if name == 'invariants':
        arguments = [os.path.join(ROOT, 'src', name) for name in ['heap_check.c', 'heap_check_bins.c']]
    elif name == 'steps':
        arguments = sorted(glob.glob(ROOT + '/bench/traces/*.ztrace'))[:2]
    environment = dict(os.environ, LD_LIBRARY_PATH=place.path, **ENVIRONMENT.get(name, {}))
    process = subprocess.Popen([os.path.join(WORK, 'programs', name)] + arguments, cwd=place.path, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        status = process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return 'hangs'
    return '' if status == 0 else 'signal %d' % -status if status < 0 else 'fails'


def judge(mutant, place, original, order, limits):
    """('killed' | 'survived' | 'same' | 'invalid', by what)"""
    path = os.path.join(place.path, 'src', mutant['file'])
    with open(path, encoding='utf-8') as file:
        text = file.read()
    at, old = mutant['offset'], mutant['old']
    assert text[at:at + len(old)] == old
    names = users_of(mutant['file']) if mutant['file'].endswith('.h') else [mutant['file']]
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text[:at] + mutant['new'] + text[at + len(old):])
        if place.compile(names).returncode != 0:
            return 'invalid', ''
        if place.objects(names) == original.objects(names):
            return 'same', ''
        need(place.link(), 'a mutant does not link')
        for name in order:
            how = test(place, name, limits[name])
            if how:
                return 'killed', 'test_%s %s' % (name, how)
        return 'survived', ''
    finally:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        for name in names:
            shutil.copy(os.path.join(original.path, name + '.o'), place.path)


def explanations():
    """tests/mutate.txt: a line for each survivor that is explained, under the lines that say why."""
    path = os.path.join(ROOT, 'tests', 'mutate.txt')
    if not os.path.exists(path):
        return set()
    with open(path, encoding='utf-8') as file:
        return {line.strip() for line in file if line.strip() and not line.startswith('#')}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--sample', type=int, default=300)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--survivors', action='store_true', help='only those of tests/mutate.txt')
    parser.add_argument('files', nargs='*')
    how = parser.parse_args()
    mutants = [m for name in FILES if not how.files or name in how.files for m in mutants_of(name)]
    explained = explanations()
    stale = explained - {m['key'] for name in FILES for m in mutants_of(name)}
    if how.survivors:
        mutants = [m for m in mutants if m['key'] in explained]
    total = len(mutants)
    if not how.all and not how.survivors and total > how.sample:
        mutants = random.Random(how.seed).sample(mutants, how.sample)
    if how.list:
        for m in mutants:
            print(m['key'])
        return 0
    for tool in ['gcc', 'meson', 'ninja']:
        if shutil.which(tool) is None:
            print('SKIP: no %s here' % tool)
            return 77
    os.makedirs(WORK, exist_ok=True)
    original, tests = prepare()
    limits = {}
    for name in tests:
        began = time.monotonic()
        if test(original, name, 600):
            sys.exit('test_%s fails without any change' % name)
        limits[name] = 5 + 10 * (time.monotonic() - began)
    places = queue.Queue()
    for i in range(how.jobs):
        place = Place('place-%d' % i)
        for o in glob.glob(original.path + '/*.o'):
            shutil.copy(o, place.path)
        places.put(place)

    def work(mutant):
        order = [t for t in dict.fromkeys(FILES[mutant['file']] + sum(FILES.values(), []) + OTHERS) if t in tests]
        place = places.get()
        try:
            return mutant, judge(mutant, place, original, order, limits)
        finally:
            places.put(place)

    count = {'killed': 0, 'survived': 0, 'same': 0, 'invalid': 0}
    by_file, unexplained, wrong = {}, [], []
    with concurrent.futures.ThreadPoolExecutor(how.jobs) as pool:
        for mutant, (verdict, by) in pool.map(work, mutants):
            count[verdict] += 1
            of = by_file.setdefault(mutant['file'], {'killed': 0, 'survived': 0})
            if verdict in of:
                of[verdict] += 1
            if verdict == 'survived' and mutant['key'] not in explained:
                unexplained.append(mutant)
            if verdict == 'killed' and mutant['key'] in explained:
                wrong.append((mutant, by))
            print('%-8s %s:%d: %s%s' % (verdict, mutant['file'], mutant['number'], mutant['key'].split(': ', 1)[1],
                                        '  (%s)' % by if by else ''), flush=True)
    print()
    for name, of in by_file.items():
        print('%-14s %4d of %4d killed' % (name, of['killed'], of['killed'] + of['survived']))
    for mutant, by in wrong:
        print('explained, but killed this time: %s  (%s)' % (mutant['key'], by))
    for key in sorted(stale):
        print('tests/mutate.txt explains what is not there: ' + key)
    for mutant in unexplained:
        print('survived, and tests/mutate.txt does not say why:\n' + mutant['key'])
    judged = count['killed'] + count['survived']
    print('%d of %d possible mutants: %d killed, %d survived (%.1f %% killed), %d with the same code, %d do not compile'
          % (len(mutants), total, count['killed'], count['survived'], 100.0 * count['killed'] / max(judged, 1),
             count['same'], count['invalid']))
    return 1 if unexplained or stale else 0


if __name__ == '__main__':
    sys.exit(main())
