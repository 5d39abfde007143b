// What is used of cuBLASLt, as cublasLt.h declares it. Matrices are stored by columns.
#ifndef MARTLET_CUBLASLT_H
#define MARTLET_CUBLASLT_H
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "CUDADriver.h"
#pragma clang assume_nonnull begin

typedef struct cublasLtContext *cublasLtHandle_t;
typedef struct cublasLtMatmulDescOpaque *cublasLtMatmulDesc_t;
typedef struct cublasLtMatrixLayoutOpaque *cublasLtMatrixLayout_t;
typedef struct cublasLtMatmulPreferenceOpaque *cublasLtMatmulPreference_t;

typedef enum {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_ARCH_MISMATCH = 8,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_INTERNAL_ERROR = 14,
    CUBLAS_STATUS_NOT_SUPPORTED = 15,
} cublasStatus_t;

typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 } cublasOperation_t;
typedef enum {
    CUBLAS_COMPUTE_32F = 68,
    CUBLAS_COMPUTE_32I = 72,
    CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
} cublasComputeType_t;
typedef enum {
    CUDA_R_32F = 0,
    CUDA_R_16F = 2,
    CUDA_R_8I = 3,
    CUDA_R_32I = 10,
    CUDA_R_16BF = 14,
    CUDA_R_8F_E4M3 = 28,
} cudaDataType;

typedef enum {
    /// int32_t, a cublasOperation_t
    CUBLASLT_MATMUL_DESC_TRANSA = 3,
    CUBLASLT_MATMUL_DESC_TRANSB = 4,
    /// uint32_t, a cublasLtEpilogue_t
    CUBLASLT_MATMUL_DESC_EPILOGUE = 7,
    /// An address on the device; one element a row of D.
    CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8,
    /// int32_t, a cudaDataType; D's unless set
    CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE = 26,
} cublasLtMatmulDescAttributes_t;

typedef enum { CUBLASLT_EPILOGUE_DEFAULT = 1, CUBLASLT_EPILOGUE_BIAS = 4 } cublasLtEpilogue_t;

typedef enum {
    /// int32_t, int64_t
    CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT = 5,
    CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET = 6,
} cublasLtMatrixLayoutAttribute_t;

typedef enum {
    /// uint64_t
    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
    /// uint32_t each: 256 unless set
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8,
} cublasLtMatmulPreferenceAttributes_t;

typedef struct {
    uint64_t data[8];
} cublasLtMatmulAlgo_t;

typedef struct {
    cublasLtMatmulAlgo_t algo;
    size_t workspaceSize;
    cublasStatus_t state;
    float wavesCount;
    int reserved[4];
} cublasLtMatmulHeuristicResult_t;

static_assert(sizeof(cublasLtMatmulHeuristicResult_t) == 96, "the library writes 96 bytes");

/// F(result, name, parameters).
#define MARTLET_CUBLASLT_FUNCTIONS(F)                                                                                 \
    F(size_t, cublasLtGetVersion, (void))                                                                             \
    F(cublasStatus_t, cublasLtCreate, (cublasLtHandle_t _Nullable *_Nonnull handle))                                  \
    F(cublasStatus_t, cublasLtDestroy, (cublasLtHandle_t handle))                                                     \
    F(cublasStatus_t, cublasLtMatmulDescCreate,                                                                       \
      (cublasLtMatmulDesc_t _Nullable *_Nonnull description, cublasComputeType_t compute, cudaDataType scale))        \
    F(cublasStatus_t, cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t description))                                  \
    F(cublasStatus_t, cublasLtMatmulDescSetAttribute,                                                                 \
      (cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute, const void *value, size_t bytes))  \
    F(cublasStatus_t, cublasLtMatrixLayoutCreate,                                                                     \
      (cublasLtMatrixLayout_t _Nullable *_Nonnull layout, cudaDataType type, uint64_t rows, uint64_t columns,         \
       int64_t leading_dimension))                                                                                    \
    F(cublasStatus_t, cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout))                                   \
    F(cublasStatus_t, cublasLtMatrixLayoutSetAttribute,                                                               \
      (cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const void *value, size_t bytes))    \
    F(cublasStatus_t, cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t _Nullable *_Nonnull preference))    \
    F(cublasStatus_t, cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference))                       \
    F(cublasStatus_t, cublasLtMatmulPreferenceSetAttribute,                                                           \
      (cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void *value,      \
       size_t bytes))                                                                                                 \
    F(cublasStatus_t, cublasLtMatmulAlgoGetHeuristic,                                                                 \
      (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, \
       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int wanted,         \
       cublasLtMatmulHeuristicResult_t *results, int *count))                                                         \
    F(cublasStatus_t, cublasLtMatmul,                                                                                 \
      (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void *alpha, const void *a,                   \
       cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,             \
       const void *c, cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,                      \
       const cublasLtMatmulAlgo_t *_Nullable algorithm, void *_Nullable workspace, size_t workspace_bytes,            \
       CUstream stream))

#define MARTLET_FIELD(result, name, parameters) result (*_Nonnull name) parameters;
typedef struct __attribute__((swift_attr("@Sendable"))) {
    MARTLET_CUBLASLT_FUNCTIONS(MARTLET_FIELD)
} martlet_cublaslt;
#undef MARTLET_FIELD

#pragma clang assume_nonnull end
#endif
