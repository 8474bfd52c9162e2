#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How much of src/ the tests run through: lines and branches, measured by gcovr.

  tests/coverage.py             builds, runs all tests but those that make builds of their own, measures
  tests/coverage.py --measured  measures the last run again
  tests/coverage.py --missing   prints what is not covered as tests/coverage.txt wants it

The library is compiled without assertions (they are off unless ZCMEM_DEBUG is set), without optimisation, and without
copies of inline functions in each caller, whose branches would count anew. Each line
and branch that no test reaches must stand in tests/coverage.txt with the reason; one that does not makes this fail, and
so does a file's figure below the goal. One that is listed but covered is reported: which thread comes first is chance.
The build is build-coverage/ (or $ZCMEM_COVERAGE_DIR). Needs gcc, meson, CMocka, gcovr. The last line is the sum.
"""
import collections
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get('ZCMEM_COVERAGE_DIR', os.path.join(ROOT, 'build-coverage'))
LIST = os.path.join(ROOT, 'tests', 'coverage.txt')
GOAL_LINES, GOAL_BRANCHES = 98.0, 95.0


def need(*command, **how):
    if subprocess.run(command, check=False, **how).returncode != 0:
        sys.exit('coverage.py: this failed: ' + ' '.join(command))


def build_and_run():
    if not os.path.exists(os.path.join(BUILD, 'build.ninja')):
        need('meson', 'setup', BUILD, ROOT, '-Db_coverage=true', '-Doptimization=0', '-Dbench=disabled',
             '-Dc_args=-fprofile-update=atomic -Dalways_inline=unused -DZCMEM_TEST_COVERAGE', stdout=subprocess.DEVNULL)
    need('ninja', '-C', BUILD, stdout=subprocess.DEVNULL)
    for directory, _, files in os.walk(BUILD):
        for name in files:
            if name.endswith('.gcda'):
                os.remove(os.path.join(directory, name))
    environment = dict(os.environ, ZCMEM_TEST_DEPTH=os.environ.get('ZCMEM_TEST_DEPTH', '-1'))
    need('meson', 'test', '-C', BUILD, '--no-rebuild', '--no-suite', 'headers', '--no-suite', 'abi', '--no-suite',
         'structure', '-t', '20', '--quiet', '--print-errorlogs', env=environment)


def measure():
    """{file of src/: {line number: (count, [counts of the branches])}} of the library as Meson builds it, by gcovr."""
    out = os.path.join(BUILD, 'coverage.json')
    need('gcovr', '--root', ROOT, '--filter', os.path.join(ROOT, 'src') + '/', '--json', out,
         os.path.join(BUILD, 'src'), cwd=BUILD)
    with open(out, encoding='utf-8') as file:
        data = json.load(file)
    return {os.path.relpath(f['file'], 'src'): {line['line_number']: (line['count'], [b['count'] for b in line['branches']])
                                          for line in f['lines'] if not line.get('gcovr/noncode')}
            for f in data['files']}


def missing(measured):
    """The keys of lines and branches that are not covered, in the order of the text, and of all that is."""
    bad, good = [], set()
    for name in sorted(measured):
        with open(os.path.join(ROOT, 'src', name), encoding='utf-8') as file:
            text = [line.strip() for line in file]
        seen = collections.Counter()
        for number, (count, branches) in sorted(measured[name].items()):
            line = text[number - 1]
            seen[line] += 1
            key = '%s: %s%s' % (name, line, ' (#%d)' % seen[line] if seen[line] > 1 else '')
            states = [('line', count)]
            if count:
                states += [('branch %d' % i, b) for i, b in enumerate(branches)]
            for what, times in states:
                if times == 0:
                    bad.append('%s ~ %s' % (key, what))
                else:
                    good.add('%s ~ %s' % (key, what))
    return bad, good


def explained():
    if not os.path.exists(LIST):
        return []
    with open(LIST, encoding='utf-8') as file:
        return [line.strip() for line in file if line.strip() and not line.startswith('#')]


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def main():
    for tool in ['gcc', 'meson', 'ninja', 'gcovr']:
        if shutil.which(tool) is None:
            print('SKIP: no %s here' % tool)
            return 77
    if '--measured' not in sys.argv and '--missing' not in sys.argv:
        build_and_run()
    measured = measure()
    bad, good = missing(measured)
    if '--missing' in sys.argv:
        print('\n'.join(bad))
        return 0
    sums = [0, 0, 0, 0]
    for name, lines in sorted(measured.items()):
        figures = [sum(1 for c, _ in lines.values() if c), len(lines),
                   sum(1 for _, bs in lines.values() for b in bs if b), sum(len(bs) for _, bs in lines.values())]
        sums = [a + b for a, b in zip(sums, figures)]
        print('%-18s lines %4d of %4d %6.1f %%   branches %4d of %4d %6.1f %%' % (
            name, figures[0], figures[1], percent(*figures[:2]), figures[2], figures[3], percent(*figures[2:])))
    reasons = explained()
    for key in reasons:
        if key in good:
            print('explained, but covered this time: ' + key)
        elif key not in bad:
            print('tests/coverage.txt explains what is not there: ' + key)
    new = [key for key in bad if key not in reasons]
    for key in new:
        print('not covered, and tests/coverage.txt does not say why: ' + key)
    lines, branches = percent(*sums[:2]), percent(*sums[2:])
    print('lines %.1f %% (%d of %d), branches %.1f %% (%d of %d), %d not covered and explained, %d not explained' % (
        lines, sums[0], sums[1], branches, sums[2], sums[3], len(bad) - len(new), len(new)))
    return 1 if new or lines < GOAL_LINES or branches < GOAL_BRANCHES else 0


if __name__ == '__main__':
    sys.exit(main())
