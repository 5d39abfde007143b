// The launch of a kernel, as a stream keeps it until its turn comes.
#ifndef MARTLET_KERNEL_CALL_H
#define MARTLET_KERNEL_CALL_H
#include <vector>

#include "block.h"
#include "machine.h"

namespace emulation {

struct kernel_call {
    const emulation::kernel *kernel;
    int device;
    unsigned grid[3], threads;
    size_t dynamic_shared, most_shared;
    /// The bytes that they had when the launch was put.
    std::vector<std::vector<char>> arguments;

    /// Runs the kernel, with what is planted to be wrong with it.
    CUresult operator()() const { return kernel_call(*this).run(); }

  private:
    flaw spoil();
    CUresult run();
};

}  // namespace emulation
#endif
