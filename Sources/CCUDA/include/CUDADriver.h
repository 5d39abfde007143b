// What is used of CUDA's driver API, as cuda.h declares it: names, values and layouts are NVIDIA's.
#ifndef MARTLET_CUDA_DRIVER_H
#define MARTLET_CUDA_DRIVER_H
#include <stddef.h>
#pragma clang assume_nonnull begin

typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct {
    char bytes[16];
} CUuuid;

typedef enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_DEINITIALIZED = 4,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_ECC_UNCORRECTABLE = 214,
    CUDA_ERROR_PEER_ACCESS_UNSUPPORTED = 217,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED = 704,
    CUDA_ERROR_PEER_ACCESS_NOT_ENABLED = 705,
    CUDA_ERROR_LAUNCH_FAILED = 719,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
    CUDA_ERROR_STREAM_CAPTURE_UNJOINED = 904,
    CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
    CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
    CUDA_ERROR_UNKNOWN = 999,
} CUresult;

typedef enum {
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
} CUdevice_attribute;

typedef enum {
    CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
    CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
    CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
    CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
} CUfunction_attribute;

typedef enum {
    CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
    CU_STREAM_CAPTURE_MODE_RELAXED = 2,
} CUstreamCaptureMode;

enum { CU_STREAM_NON_BLOCKING = 1 };
enum { CU_EVENT_DEFAULT = 0, CU_EVENT_DISABLE_TIMING = 2 };
enum { CU_MEMHOSTALLOC_PORTABLE = 1 };

/// F(name, symbol, parameters). The symbols are those that cuda.h renames the names to; streams are always named, so
/// that the `_ptsz` variants (a default stream for each thread) are not needed.
#define MARTLET_DRIVER_FUNCTIONS(F)                                                                                  \
    F(cuInit, cuInit, (unsigned flags))                                                                              \
    F(cuDriverGetVersion, cuDriverGetVersion, (int *version))                                                        \
    F(cuGetErrorName, cuGetErrorName, (CUresult error, const char *_Nullable *_Nonnull name))                        \
    F(cuGetErrorString, cuGetErrorString, (CUresult error, const char *_Nullable *_Nonnull text))                    \
    F(cuDeviceGet, cuDeviceGet, (CUdevice *device, int ordinal))                                                     \
    F(cuDeviceGetCount, cuDeviceGetCount, (int *count))                                                              \
    F(cuDeviceGetName, cuDeviceGetName, (char *name, int capacity, CUdevice device))                                 \
    F(cuDeviceGetUuid, cuDeviceGetUuid, (CUuuid *uuid, CUdevice device))                                             \
    F(cuDeviceGetAttribute, cuDeviceGetAttribute, (int *value, CUdevice_attribute attribute, CUdevice device))       \
    F(cuDeviceTotalMem, cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                                       \
    F(cuDeviceCanAccessPeer, cuDeviceCanAccessPeer, (int *can, CUdevice device, CUdevice peer))                      \
    F(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (CUcontext _Nullable *_Nonnull context, CUdevice device))  \
    F(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                    \
    F(cuCtxSetCurrent, cuCtxSetCurrent, (CUcontext _Nullable context))                                               \
    F(cuCtxSynchronize, cuCtxSynchronize, (void))                                                                    \
    F(cuCtxEnablePeerAccess, cuCtxEnablePeerAccess, (CUcontext peer, unsigned flags))                                \
    F(cuMemAlloc, cuMemAlloc_v2, (CUdeviceptr *address, size_t bytes))                                               \
    F(cuMemFree, cuMemFree_v2, (CUdeviceptr address))                                                                \
    F(cuMemGetInfo, cuMemGetInfo_v2, (size_t *free, size_t *total))                                                  \
    F(cuMemHostAlloc, cuMemHostAlloc, (void *_Nullable *_Nonnull start, size_t bytes, unsigned flags))               \
    F(cuMemFreeHost, cuMemFreeHost, (void *start))                                                                   \
    F(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2,                                                                       \
      (CUdeviceptr target, const void *source, size_t bytes, CUstream stream))                                       \
    F(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void *target, CUdeviceptr source, size_t bytes, CUstream stream))    \
    F(cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2,                                                                       \
      (CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream))                                       \
    F(cuMemcpyPeerAsync, cuMemcpyPeerAsync,                                                                          \
      (CUdeviceptr target, CUcontext target_context, CUdeviceptr source, CUcontext source_context, size_t bytes,     \
       CUstream stream))                                                                                             \
    F(cuMemsetD8Async, cuMemsetD8Async, (CUdeviceptr target, unsigned char value, size_t count, CUstream stream))    \
    F(cuMemsetD32Async, cuMemsetD32Async, (CUdeviceptr target, unsigned value, size_t count, CUstream stream))       \
    F(cuStreamCreate, cuStreamCreate, (CUstream _Nullable *_Nonnull stream, unsigned flags))                         \
    F(cuStreamDestroy, cuStreamDestroy_v2, (CUstream stream))                                                        \
    F(cuStreamSynchronize, cuStreamSynchronize, (CUstream stream))                                                   \
    F(cuStreamQuery, cuStreamQuery, (CUstream stream))                                                               \
    F(cuStreamWaitEvent, cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))                        \
    F(cuStreamBeginCapture, cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                    \
    F(cuStreamEndCapture, cuStreamEndCapture, (CUstream stream, CUgraph _Nullable *_Nonnull graph))                  \
    F(cuEventCreate, cuEventCreate, (CUevent _Nullable *_Nonnull event, unsigned flags))                             \
    F(cuEventRecord, cuEventRecord, (CUevent event, CUstream stream))                                                \
    F(cuEventQuery, cuEventQuery, (CUevent event))                                                                   \
    F(cuEventSynchronize, cuEventSynchronize, (CUevent event))                                                       \
    F(cuEventElapsedTime, cuEventElapsedTime, (float *milliseconds, CUevent start, CUevent end))                     \
    F(cuEventDestroy, cuEventDestroy_v2, (CUevent event))                                                            \
    F(cuModuleLoadData, cuModuleLoadData, (CUmodule _Nullable *_Nonnull module, const void *image))                  \
    F(cuModuleUnload, cuModuleUnload, (CUmodule module))                                                             \
    F(cuModuleGetFunction, cuModuleGetFunction,                                                                      \
      (CUfunction _Nullable *_Nonnull function, CUmodule module, const char *name))                                  \
    F(cuFuncGetAttribute, cuFuncGetAttribute, (int *value, CUfunction_attribute attribute, CUfunction function))     \
    F(cuFuncSetAttribute, cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))      \
    F(cuOccupancyMaxActiveBlocksPerMultiprocessor, cuOccupancyMaxActiveBlocksPerMultiprocessor,                      \
      (int *blocks, CUfunction function, int threads, size_t dynamic_shared))                                        \
    F(cuLaunchKernel, cuLaunchKernel,                                                                                \
      (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,   \
       unsigned block_z, unsigned dynamic_shared, CUstream stream, void *_Nullable *_Nullable parameters,            \
       void *_Nullable *_Nullable extra))                                                                            \
    F(cuGraphInstantiateWithFlags, cuGraphInstantiateWithFlags,                                                      \
      (CUgraphExec _Nullable *_Nonnull executable, CUgraph graph, unsigned long long flags))                         \
    F(cuGraphLaunch, cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                       \
    F(cuGraphExecDestroy, cuGraphExecDestroy, (CUgraphExec executable))                                              \
    F(cuGraphDestroy, cuGraphDestroy, (CUgraph graph))

#define MARTLET_FIELD(name, symbol, parameters) CUresult (*_Nonnull name) parameters;
typedef struct __attribute__((swift_attr("@Sendable"))) {
    MARTLET_DRIVER_FUNCTIONS(MARTLET_FIELD)
} martlet_driver;
#undef MARTLET_FIELD

#pragma clang assume_nonnull end
#endif
