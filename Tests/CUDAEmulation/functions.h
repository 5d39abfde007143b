// The functions of the table, by number and by name.
#ifndef MARTLET_FUNCTIONS_H
#define MARTLET_FUNCTIONS_H
#include "CCUDA.h"

// The lists state what Swift needs to know; here the rest may stay unsaid.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"

namespace emulation {

#define MARTLET_DRIVER_NUMBER(name, symbol, parameters) name,
#define MARTLET_NUMBER(result, name, parameters) name,
namespace number {
enum function {
    MARTLET_DRIVER_FUNCTIONS(MARTLET_DRIVER_NUMBER) MARTLET_NVRTC_FUNCTIONS(MARTLET_NUMBER)
        MARTLET_CUBLASLT_FUNCTIONS(MARTLET_NUMBER) MARTLET_NCCL_FUNCTIONS(MARTLET_NUMBER) count
};
}
using function = number::function;

/// The function of this name, or `count`.
function function_named(const char *name);

// The functions themselves, with the machine locked and current.
#define MARTLET_DRIVER_DECLARATION(name, symbol, parameters) CUresult name parameters;
#define MARTLET_DECLARATION(result, name, parameters) result name parameters;
namespace emulated {
MARTLET_DRIVER_FUNCTIONS(MARTLET_DRIVER_DECLARATION)
MARTLET_NVRTC_FUNCTIONS(MARTLET_DECLARATION)
MARTLET_CUBLASLT_FUNCTIONS(MARTLET_DECLARATION)
MARTLET_NCCL_FUNCTIONS(MARTLET_DECLARATION)
}  // namespace emulated

}  // namespace emulation

#pragma clang diagnostic pop
#endif
