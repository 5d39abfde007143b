// Stacks, and the switch from one to another on the same thread.
#ifndef MARTLET_FIBRE_H
#define MARTLET_FIBRE_H
#include <cstddef>

namespace emulation {

/// Where a stack that does not run goes on: its stack pointer, with the registers that a call keeps pushed on it.
using continuation = void *;

/// Goes on at `to`; comes back when something switches to what `from` then holds.
extern "C" void martlet_fibre_switch(continuation *from, continuation to);

/// Stacks of one size side by side, each with a guard page below it.
class stacks {
  public:
    stacks() = default;
    stacks(const stacks &) = delete;
    ~stacks();

    /// A fresh start of `entry` (which never returns) on stack `index`.
    continuation start(size_t index, void (*entry)());

  private:
    static constexpr size_t size = 128 << 10, guard = 16 << 10, most = 1024;
    char *memory = nullptr;
};

}  // namespace emulation
#endif
