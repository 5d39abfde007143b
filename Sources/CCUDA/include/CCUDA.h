// NVIDIA's libraries, found when they are asked for: tables of their functions, and the kernels' sources. Nothing of
// them is needed to build. The table is also the seam for tests, which fill it with functions of their own.
#ifndef MARTLET_CCUDA_H
#define MARTLET_CCUDA_H
#include <stddef.h>

#include "CCUDASampling.h"
#include "CCUDASampling.h"
#include "CUBLASLt.h"
#include "CUDADriver.h"
#include "NCCL.h"
#include "NVRTC.h"
#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

/// Once filled it does not change: Swift may share it.
typedef struct __attribute__((swift_attr("@Sendable"))) {
    martlet_driver driver;
    martlet_nvrtc nvrtc;
    martlet_cublaslt cublaslt;
    /// Only if `has_nccl`.
    martlet_nccl nccl;
    int has_nccl;
    /// Of CUDA, as the driver knows it: 1000 * major + 10 * minor.
    int driver_version;
} martlet_cuda;

typedef enum {
    MARTLET_CUDA_FOUND,
    MARTLET_CUDA_NO_DRIVER,
    MARTLET_CUDA_DRIVER_TOO_OLD,
    MARTLET_CUDA_NO_NVRTC,
    MARTLET_CUDA_NO_CUBLASLT,
    MARTLET_CUDA_NO_SYMBOL,
} martlet_cuda_search;

/// CUDA 12.2, of driver 535.
enum { MARTLET_CUDA_LEAST_VERSION = 12020 };

/// Fills `table`, and initialises the driver. Libraries are looked for as the system does, then in `folders` and below
/// them where NVIDIA's Python packages put them (a folder may be a site-packages); those of CUDA 13 only where the
/// driver knows it. NCCL may be missing. Else `detail` has the system's words, the name of the symbol that is not
/// there, or the version that is too old. What was loaded stays loaded.
martlet_cuda_search martlet_cuda_load(const char *_Nonnull const *_Nullable folders, size_t folder_count,
                                      martlet_cuda *table, char *detail, size_t capacity);

/// A file of the kernels' source.
typedef struct {
    /// As others include it: "device.cuh".
    const char *name;
    /// Zero-terminated.
    const char *text;
} martlet_cuda_source;

/// Every file, those to compile (.cu) and those that they include.
const martlet_cuda_source *martlet_cuda_sources(size_t *count);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
