#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Holds the dump that a program prints against src/dump.schema.json: dump_schema.py <schema> <command...>

Every line must be valid and of exactly one kind. What the schema cannot say is checked here: lines come in their order,
the blocks of a region lie side by side from its beginning to its end, and sums are right. And the schema must refuse
what it ought to: each line with any one member left out, or made something else.
"""
import json
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print('SKIP: no python3-jsonschema')
    sys.exit(77)


def check_region(lines):
    """Checks the lines of one region; the rest."""
    region, lines = lines[0], lines[1:]
    assert region['type'] == 'region', region
    at, blocks = 0, []
    while lines[0]['type'] == 'block':
        block, lines = lines[0], lines[1:]
        assert block['region'] == region['index'] and block['offset'] == at and block['size'] > 0, block
        assert block['size'] % region['quantum'] == 0 and block['requested'] <= block['size'], block
        at += block['size']
        blocks.append(block)
    assert at == region['size'], 'blocks end at %d' % at
    end = lines[0]
    assert end['type'] == 'end' and end['region'] == region['index'] and not end['changed'], end
    free = [block['size'] for block in blocks if block['state'] == 'free']
    assert end['blocks'] == len(blocks) and end['available'] == sum(free), end
    assert end['in_use'] == region['size'] - sum(free) and end['largest'] == max(free, default=0), end
    assert end['live'] == sum(block['state'] in ('live', 'zombie') for block in blocks), end
    assert end['requested'] == sum(block['requested'] for block in blocks), end
    return blocks, lines[1:]


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    text = subprocess.run(sys.argv[2:], check=True, stdout=subprocess.PIPE).stdout.decode('ascii')
    assert text.endswith('\n')
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        validator.validate(line)
    head, rest = lines[0], lines[1:]
    assert head['zcmem'] == 'dump'
    blocks = []
    for _ in range(head['regions']):
        found, rest = check_region(rest)
        blocks += found
    assert not rest
    assert any(block['tag'] != 0 and block['pins'] > 0 for block in blocks)
    assert all(block['owner'] == 0 and block['pid'] == 0 for block in blocks)  # no processes share this one

    refused = 0
    kinds = {line.get('type', 'first'): line for line in lines}
    assert sorted(kinds) == ['block', 'end', 'first', 'region']
    for line in kinds.values():
        for member in line:
            without = {name: value for name, value in line.items() if name != member}
            for wrong in (without, dict(line, **{member: -1}), dict(line, **{member: None})):
                assert not validator.is_valid(wrong), wrong
                refused += 1
        assert validator.is_valid(dict(line, new_member=1)), 'a later version may add members'
    print('%d lines, %d wrong ones refused' % (len(lines), refused))


main()
