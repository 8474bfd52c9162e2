/* SPDX-License-Identifier: MIT */
/*
 * The device of the examples: a thread with memory of its own, which takes commands from a queue and runs kernels.
 *
 * It knows device addresses only. A kernel gets them as arguments and finds the memory through the device's own map,
 * made when the device was: what stands for the wires between a core and its memory. The host's side of the device is
 * a HAL with the regions "ddr" and "msmc" and a table of buffers, as a runtime would have them.
 */
#ifndef ZCMEM_EXAMPLES_DEVICE_H
#define ZCMEM_EXAMPLES_DEVICE_H

#include <zcmem/zcmem.h>

struct device;
struct device_map;

#define DEVICE_ARGS 4

/*
 * A kernel: arguments are numbers and device addresses. It answers false where it meets an address that the device has
 * no memory at: a fault.
 */
typedef bool (*device_kernel)(const struct device_map *map, const uint64_t *args);

/* For kernels: the device's memory at `size` bytes from addr on; NULL iff they are not all in one of its memories. */
void *device_map_find(const struct device_map *map, hal_addr_t addr, hal_size_t size);

/* A device that runs; NULL iff it could not be made (and a line on stderr says why). */
struct device *device_create(void);

/* Ends it. False iff a block was still allocated or a buffer was still there. NULL: nothing, true. */
bool device_destroy(struct device *device);

struct zcmem_hal *device_hal(struct device *device);
struct zcmem_buffers *device_buffers(struct device *device);

/* Index of the region "ddr", for shadows and fresh buffers. */
uint32_t device_ddr(const struct device *device);

/* Puts a command into the queue; waits while that is full. */
void device_submit(struct device *device, device_kernel kernel, const uint64_t args[DEVICE_ARGS]);

/* Waits until all commands are done. True iff none since the last call has faulted. */
bool device_finish(struct device *device);

#endif
