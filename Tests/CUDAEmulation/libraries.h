// What modules, NVRTC, cuBLASLt and NCCL keep behind their handles.
#ifndef MARTLET_LIBRARIES_H
#define MARTLET_LIBRARIES_H
#include <memory>
#include <string>
#include <vector>

#include "CCUDA.h"
#include "kernel_registry.h"

namespace emulation {
struct rank_group;
}

struct CUmod_st {
    int device;
    std::string file;
};

struct CUfunc_st {
    int device;
    CUmodule module;
    const emulation::kernel *kernel;
    /// What launches may ask for, beside static shared memory.
    int most_dynamic_shared;
};

struct _nvrtcProgram {
    std::string file, source, log, image;
    /// As given: name and text.
    std::vector<std::pair<std::string, std::string>> headers;
};

struct cublasLtContext {
    int device;
};

struct cublasLtMatmulDescOpaque {
    cublasComputeType_t compute;
    cudaDataType scale;
    int is_transposed[2];
    uint32_t epilogue;
    CUdeviceptr bias;
    /// -1: D's
    int bias_type;
};

struct cublasLtMatrixLayoutOpaque {
    cudaDataType type;
    uint64_t rows, columns;
    int64_t leading_dimension;
    int batch_count;
    int64_t batch_stride;
};

struct cublasLtMatmulPreferenceOpaque {
    uint64_t most_workspace;
    /// Of A, B, C and D, in bytes.
    uint32_t alignment[4];
};

struct ncclComm {
    std::shared_ptr<emulation::rank_group> group;
    int rank, device;
};

#endif
