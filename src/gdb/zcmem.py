# SPDX-License-Identifier: MIT
"""
gdb and zcmem: values of heaps, blocks and HALs that can be read, and two commands, of a program that runs or a core:

  zcmem-map EXPRESSION       a line for each region of a HAL, or for a heap: addresses to the right, how full each part is
  zcmem-blocks EXPRESSION    all blocks of a heap, or of a HAL's regions

EXPRESSION is a struct zcmem_hal, a struct zcmem_heap, or a pointer to one. Only memory is read, nothing is called.
"""
import gdb

STATES = {0: 'cached', 1: 'free', 2: 'live', 3: 'zombie'}
LEVELS = ' \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588'
WIDTH = 64


def human(size):
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if size < 1024:
            return '%.4g %s' % (size, unit)
        size /= 1024
    return '%.4g TiB' % size


class Heap:
    """A struct zcmem_heap, read block by block."""

    def __init__(self, value):
        self.value = value
        at = value['at']
        self.base, self.quanta, self.shift = int(at['base']), int(at['quanta']), int(at['quantum_shift'])
        self.limit = int(at['descriptors'])
        block = gdb.lookup_type('struct zcmem__block')
        self.table = (value.address + 1).cast(block.pointer())

    def size(self):
        return self.quanta << self.shift

    def blocks(self):
        """(address, size, requested, state, tag, pins, transfers), in the order of addresses. A damaged image ends it."""
        link = int(self.table[0]['next'])
        for _ in range(self.limit):
            number = (link & ~7) // 8
            if number == 0 or number >= self.limit:
                return
            block = self.table[number]
            use = int(block['use'])
            state = STATES[use & 3]
            size = int(block['size']) << self.shift
            owned = state in ('live', 'zombie')
            yield (self.base + (int(block['start']) << self.shift), size,
                   size - int(block['slack']) if owned else 0, state, int(block['tag']) if owned else 0,
                   use >> 2 & 0x7fff if owned else 0, use >> 17 & 0x7fff if owned else 0)
            link = int(block['next'])

    def figures(self):
        free = int(self.value['free_quanta']) << self.shift
        return '%d blocks, %s of %s in use' % (int(self.value['live']), human(self.size() - free), human(self.size()))

    def line(self, width=WIDTH):
        used = [0.0] * width
        cell = self.size() / width
        for address, size, _, state, _, _, _ in self.blocks():
            start, end = address - self.base, address - self.base + size
            first, last = int(start / cell), min(int((end - 1) / cell), width - 1)
            if state == 'free':
                continue
            for i in range(first, last + 1):
                used[i] += (min(end, (i + 1) * cell) - max(start, i * cell)) / cell
        return ''.join('\u00b7' if u <= 0 else LEVELS[max(1, min(8, int(u * 8 + 0.999)))] for u in used)


def heaps_of(text):
    """(name, Heap) for each heap of what the expression is."""
    value = gdb.parse_and_eval(text)
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
        if int(value) == 0:
            raise gdb.GdbError('%s is NULL' % text)
        value = value.dereference()
    name = str(value.type.strip_typedefs().unqualified())
    if name == 'struct zcmem_heap':
        return [('heap', Heap(value))]
    if name == 'struct zcmem_hal':
        regions = [value['regions'][i] for i in range(int(value['count']['value']))]
        return [(region['name'].string(), Heap(region['heap'].dereference())) for region in regions]
    raise gdb.GdbError('%s is a %s, neither a struct zcmem_hal nor a struct zcmem_heap' % (text, name))


class MapCommand(gdb.Command):
    """Draw a HAL's regions, or a heap: zcmem-map EXPRESSION"""

    def __init__(self):
        super().__init__('zcmem-map', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        for name, heap in heaps_of(argument):
            print('%-12s %s %s' % (name, heap.line(), heap.figures()))


class BlocksCommand(gdb.Command):
    """List the blocks of a heap, or of a HAL's regions: zcmem-blocks EXPRESSION"""

    def __init__(self):
        super().__init__('zcmem-blocks', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        for name, heap in heaps_of(argument):
            for address, size, requested, state, tag, pins, transfers in heap.blocks():
                print('%s 0x%x size %d requested %d %s tag 0x%x pins %d transfers %d' %
                      (name, address, size, requested, state, tag, pins, transfers))


class HeapPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return 'zcmem_heap at 0x%x: %s' % (int(self.value['at']['base']), Heap(self.value).figures())


class HalPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return 'zcmem_hal "%s", %d regions' % (self.value['name'].string(), int(self.value['count']['value']))


class RegionPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return 'region "%s" at 0x%x: %s' % (self.value['name'].string(), int(self.value['base']),
                                            Heap(self.value['heap'].dereference()).figures())


def find_printer(value):
    printers = {'zcmem_heap': HeapPrinter, 'zcmem_hal': HalPrinter, 'zcmem__region': RegionPrinter}
    kind = value.type.strip_typedefs().unqualified()
    return printers[kind.tag](value) if kind.code == gdb.TYPE_CODE_STRUCT and kind.tag in printers else None


find_printer.__name__ = 'zcmem'
if not any(getattr(printer, '__name__', '') == 'zcmem' for printer in gdb.pretty_printers):
    gdb.pretty_printers.append(find_printer)
    MapCommand()
    BlocksCommand()
