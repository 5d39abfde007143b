// A launch: its blocks one after another, the threads of each as fibres that run as far ahead as they can.
#ifndef MARTLET_BLOCK_H
#define MARTLET_BLOCK_H
#include <cstdint>
#include <string>

#include "kernel_registry.h"

namespace emulation {

/// Which warp, and which of its lanes, goes on first wherever several could. A missing barrier shows in one of the two.
enum class order { forward, backward };

enum class weak_spot { none, barrier, warp_barrier, copy_wait, shuffle, matrix_row };

/// What is wrong with a kernel, if anything: number `number` of what each thread does of a kind in a block.
struct flaw {
    weak_spot spot = weak_spot::none;
    unsigned number = 0;
    /// Counts effects.
    uint64_t *count = nullptr;
};

struct launch {
    const kernel *kernel;
    unsigned grid[3];
    unsigned threads;
    size_t dynamic_shared;
    /// Where each argument lies.
    void *const *parameters;
    emulation::order order;
    /// Static and dynamic shared memory together.
    size_t most_shared = 48 << 10;
    emulation::flaw flaw{};
};

/// Runs every block. Gives what went wrong, with the kernel's name, or nothing: a barrier that not all threads reach,
/// an address that is no memory, a misaligned copy.
std::string run(const launch &launch);

/// The same for a kernel alone, by name, with its arguments.
template <class... Arguments>
std::string run(const std::string &name, unsigned blocks, unsigned threads, order order, Arguments... arguments) {
    void *parameters[] = {&arguments...};
    return run(launch{find_kernel(name), {blocks, 1, 1}, threads, 0, parameters, order});
}

/// Ends the launch from within one of its threads.
[[noreturn]] void fail(const std::string &reason);

/// Waits until all 32 lanes of the warp have come with the same `perform`; the last performs with what each brought.
void meet(const char *name, void *brought, void (*perform)(void *const brought[32]));

/// Whether what this thread does now, one more of its kind, is where the flaw is.
bool is_flawed(weak_spot spot);

bool is_shared(const void *address, size_t size);

}  // namespace emulation
#endif
