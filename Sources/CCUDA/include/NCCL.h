// What is used of NCCL, sums and copies between GPUs, as nccl.h declares it.
#ifndef MARTLET_NCCL_H
#define MARTLET_NCCL_H
#include <stddef.h>

#include "CUDADriver.h"
#pragma clang assume_nonnull begin

typedef struct ncclComm *ncclComm_t;

/// Made by one rank, the same for all of a communicator.
typedef struct {
    char internal[128];
} ncclUniqueId;

typedef enum {
    ncclSuccess = 0,
    ncclUnhandledCudaError = 1,
    ncclSystemError = 2,
    ncclInternalError = 3,
    ncclInvalidArgument = 4,
    ncclInvalidUsage = 5,
    ncclRemoteError = 6,
    ncclInProgress = 7,
} ncclResult_t;

typedef enum { ncclInt8 = 0, ncclInt32 = 2, ncclFloat16 = 6, ncclFloat32 = 7, ncclBfloat16 = 9 } ncclDataType_t;
typedef enum { ncclSum = 0, ncclMax = 2, ncclMin = 3 } ncclRedOp_t;

/// F(result, name, parameters).
#define MARTLET_NCCL_FUNCTIONS(F)                                                                                    \
    F(ncclResult_t, ncclGetVersion, (int *version))                                                                  \
    F(const char *_Nullable, ncclGetErrorString, (ncclResult_t result))                                              \
    F(ncclResult_t, ncclGetUniqueId, (ncclUniqueId *id))                                                             \
    F(ncclResult_t, ncclCommInitRank,                                                                                \
      (ncclComm_t _Nullable *_Nonnull communicator, int rank_count, ncclUniqueId id, int rank))                      \
    F(ncclResult_t, ncclCommDestroy, (ncclComm_t communicator))                                                      \
    F(ncclResult_t, ncclCommAbort, (ncclComm_t communicator))                                                        \
    F(ncclResult_t, ncclCommGetAsyncError, (ncclComm_t communicator, ncclResult_t *error))                           \
    F(ncclResult_t, ncclAllReduce,                                                                                   \
      (const void *source, void *target, size_t count, ncclDataType_t type, ncclRedOp_t operation,                   \
       ncclComm_t communicator, CUstream stream))                                                                    \
    F(ncclResult_t, ncclBroadcast,                                                                                   \
      (const void *source, void *target, size_t count, ncclDataType_t type, int root, ncclComm_t communicator,       \
       CUstream stream))                                                                                             \
    F(ncclResult_t, ncclSend,                                                                                        \
      (const void *source, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator, CUstream stream))   \
    F(ncclResult_t, ncclRecv,                                                                                        \
      (void *target, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator, CUstream stream))         \
    F(ncclResult_t, ncclGroupStart, (void))                                                                          \
    F(ncclResult_t, ncclGroupEnd, (void))

#define MARTLET_FIELD(result, name, parameters) result (*_Nonnull name) parameters;
typedef struct __attribute__((swift_attr("@Sendable"))) {
    MARTLET_NCCL_FUNCTIONS(MARTLET_FIELD)
} martlet_nccl;
#undef MARTLET_FIELD

#pragma clang assume_nonnull end
#endif
