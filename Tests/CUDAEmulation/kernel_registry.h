// Kernels by the names they are launched by. A .cpp file for each .cu includes it; KERNEL registers what is in it.
#ifndef MARTLET_KERNEL_REGISTRY_H
#define MARTLET_KERNEL_REGISTRY_H
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace emulation {

using body = void (*)();

/// What a launch needs to know of a kernel.
struct kernel {
    const char *name;
    /// The .cu file, without folders.
    std::string file;
    unsigned most_threads;
    std::vector<size_t> parameter_sizes;
    body function;
    /// Calls `function` with what `parameters` point to.
    void (*call)(body function, void *const *parameters);
};

/// The kernel of a file, or NULL. Kernels stay where they are.
const kernel *find_kernel(const std::string &file, const std::string &name);
/// The kernel of any file: for tests of a kernel alone.
const kernel *find_kernel(const std::string &name);

void add_kernel(kernel kernel);

template <int N> using count = std::integral_constant<int, N>;

template <class... Parameters, size_t... I>
void call_with(void (*function)(Parameters...), void *const *parameters, std::index_sequence<I...>) {
    function(*static_cast<std::remove_cv_t<Parameters> *>(parameters[I])...);
}

struct registration {
    template <class... Parameters, int N>
    registration(const char *name, const char *path, unsigned threads, void (*function)(Parameters...), count<N>) {
        static_assert(sizeof...(Parameters) == N, "KERNEL states the number of its body's parameters");
        const std::string file(path);
        add_kernel({name, file.substr(file.rfind('/') + 1), threads, {sizeof(Parameters)...},
                    reinterpret_cast<body>(function), [](body function, void *const *parameters) {
                        call_with(reinterpret_cast<void (*)(Parameters...)>(function), parameters,
                                  std::index_sequence_for<Parameters...>());
                    }});
    }
};

}  // namespace emulation
#endif
