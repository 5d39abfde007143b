#include "kernel_registry.h"

#include <deque>

namespace emulation {

// In a function, since registrations in other files may come first.
static std::deque<kernel> &all_kernels() {
    static std::deque<kernel> kernels;
    return kernels;
}

void add_kernel(kernel kernel) { all_kernels().push_back(std::move(kernel)); }

const kernel *find_kernel(const std::string &file, const std::string &name) {
    for (const kernel &kernel : all_kernels())
        if (kernel.file == file && kernel.name == name) return &kernel;
    return nullptr;
}

const kernel *find_kernel(const std::string &name) {
    for (const kernel &kernel : all_kernels())
        if (kernel.name == name) return &kernel;
    return nullptr;
}

}  // namespace emulation
