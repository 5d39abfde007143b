// NVIDIA's libraries on the host, for tests: the same table of functions, whose devices are memory of this process and
// whose kernels are the very .cu files compiled as C++. Stricter than a GPU where it can be: work of a stream runs as
// late as it may and in an order that only events bind, memory begins as NaN, and none that was freed can be touched.
#ifndef MARTLET_CUDA_EMULATION_H
#define MARTLET_CUDA_EMULATION_H
#include <stddef.h>
#include <stdint.h>

#include "CCUDA.h"
#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

/// Which of a block's threads go on first wherever several could.
typedef enum {
    /// By the seed, another at each launch.
    MARTLET_EMULATION_EITHER,
    MARTLET_EMULATION_FORWARD,
    MARTLET_EMULATION_BACKWARD,
} martlet_emulation_order;

typedef struct {
    int device_count;
    /// Of each device.
    size_t memory_bytes;
    /// 89 for compute capability 8.9: 80, 86, 87, 89, 90, 100 or 120.
    int architecture;
    int multiprocessor_count;
    int driver_version;
    int has_nccl;
    /// Of every choice that a GPU would be free to make.
    uint64_t seed;
    martlet_emulation_order order;
    /// After so long a wait for work that nobody gives, a call fails with CUDA_ERROR_LAUNCH_TIMEOUT.
    double patience_seconds;
} martlet_emulation_options;

/// One device of 1 GiB and compute capability 8.9.
martlet_emulation_options martlet_emulation_defaults(void);

typedef struct martlet_emulation martlet_emulation;

/// Devices of one's own, apart from those of other tests. NULL where 32 are open already.
martlet_emulation *_Nullable martlet_emulation_open(martlet_emulation_options options);

const martlet_cuda *martlet_emulation_table(martlet_emulation *emulation);

/// Call number `call` (from 1 on, counted from now) of `function`, a name of the table such as "cuMemAlloc", does
/// nothing but return `error`. 0: there is no such function.
int martlet_emulation_plant(martlet_emulation *emulation, const char *function, uint64_t call, int error);

/// The device is lost `calls` calls of the driver for it from now on: they, and all that follow, return `error`.
void martlet_emulation_lose(martlet_emulation *emulation, int device, uint64_t calls, CUresult error);

/// Call number `call` of `function` from now on does nothing and returns success: as if it had been forgotten.
int martlet_emulation_forget(martlet_emulation *emulation, const char *function, uint64_t call);

/// What a kernel may have wrong, for tests of tests.
typedef enum {
    /// Each thread runs through its barrier number `number` of a block (from 0 on).
    MARTLET_FLAW_BARRIER,
    MARTLET_FLAW_WARP_BARRIER,
    /// Wait number `number` of a thread for its background copies does not wait.
    MARTLET_FLAW_COPY_WAIT,
    /// Shuffle number `number` of a thread brings it its own value.
    MARTLET_FLAW_SHUFFLE,
    /// Load number `number` of matrices takes each row for the next.
    MARTLET_FLAW_MATRIX_ROW,
    /// Argument number `number`, a word of 4 bytes, is one more.
    MARTLET_FLAW_ARGUMENT,
    /// The last block of the grid (x) is missing.
    MARTLET_FLAW_BLOCK,
} martlet_emulation_flaw;

/// From now on, kernels whose names begin with `kernel` have it.
void martlet_emulation_break(martlet_emulation *emulation, const char *kernel, martlet_emulation_flaw flaw, int number);

/// How often a flaw had its effect: 0 tells that a test met none.
uint64_t martlet_emulation_flaw_count(martlet_emulation *emulation);

/// How often a function was called.
uint64_t martlet_emulation_calls(martlet_emulation *emulation, const char *function);

/// What went wrong so far, a line each: accesses that a GPU would punish or, worse, not punish.
size_t martlet_emulation_complaints(martlet_emulation *emulation, char *text, size_t capacity);

/// Ends it. Writes the complaints, and what was made and not given back on devices that were not lost. Gives how many
/// lines; 0: all is well.
size_t martlet_emulation_close(martlet_emulation *emulation, char *text, size_t capacity);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
