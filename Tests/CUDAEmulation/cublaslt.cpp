// cuBLASLt: D = alpha op(A) op(B) + beta C (+ bias), by columns, as strict with its arguments as the library.
#include <cstring>

#include "machine.h"
#include "matrix_product.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

size_t cublasLtGetVersion(void) { return size_t(here().options.driver_version / 1000 * 10000 + 9 * 100); }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    device *device = here().current_device();
    if (!device || device->context.lost != CUDA_SUCCESS) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = here().products.make({device->context.device});
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    return here().products.destroy(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *description, cublasComputeType_t compute,
                                        cudaDataType scale) {
    const bool is_known = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const bool is_whole = compute == CUBLAS_COMPUTE_32I && scale == CUDA_R_32I;
    if (!is_whole && (!is_known || scale != CUDA_R_32F)) return CUBLAS_STATUS_INVALID_VALUE;
    *description = here().product_descriptions.make({compute, scale, {0, 0}, CUBLASLT_EPILOGUE_DEFAULT, 0, -1});
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
    return here().product_descriptions.destroy(description) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

/// Takes a value of just this size.
template <class Value> static cublasStatus_t take(Value &place, const void *value, size_t bytes) {
    if (bytes != sizeof place) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&place, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes) {
    if (!here().product_descriptions.has(description)) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return take(description->is_transposed[0], value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return take(description->is_transposed[1], value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return take(description->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return take(description->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return take(description->bias_type, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t leading_dimension) {
    bool is_known = false;
    for (cudaDataType known : {CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF, CUDA_R_8I, CUDA_R_32I, CUDA_R_8F_E4M3})
        is_known = is_known || type == known;
    if (!is_known || rows == 0 || columns == 0 || leading_dimension < int64_t(rows)) return CUBLAS_STATUS_INVALID_VALUE;
    *layout = here().layouts.make({type, rows, columns, leading_dimension, 1, 0});
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    return here().layouts.destroy(layout) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void *value,
                                                size_t bytes) {
    if (!here().layouts.has(layout)) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return take(layout->batch_count, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return take(layout->batch_stride, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    *preference = here().preferences.make({0, {256, 256, 256, 256}});
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    return here().preferences.destroy(preference) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes) {
    if (!here().preferences.has(preference)) return CUBLAS_STATUS_INVALID_VALUE;
    const int side = int(attribute) - int(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) return take(preference->most_workspace, value, bytes);
    if (side < 0 || side > 3) return CUBLAS_STATUS_INVALID_VALUE;
    return take(preference->alignment[side], value, bytes);
}

/// Whether the library multiplies matrices of 8 bits of these shapes and types, on this device: both with K along
/// memory, everything in pieces of 16 bytes.
static bool takes_bytes(const matrix_product &product, cublasComputeType_t compute, bool are_whole) {
    const auto &a = product.a, &b = product.b, &d = product.d;
    const bool is_whole = compute == CUBLAS_COMPUTE_32I && d.layout.type == CUDA_R_32I;
    const bool is_float = compute == CUBLAS_COMPUTE_32F && d.layout.type == CUDA_R_32F;
    if (are_whole ? !is_whole : !is_float || here().options.architecture < 89) return false;
    if (!a.is_transposed || b.is_transposed || product.bias) return false;
    for (uint64_t extent : {a.layout.rows, a.layout.columns, uint64_t(a.layout.leading_dimension),
                            uint64_t(b.layout.leading_dimension), 4 * uint64_t(d.layout.leading_dimension)})
        if (extent % 16) return false;
    return true;
}

/// Whether the library multiplies these; fills what is to be computed but for the addresses.
static cublasStatus_t describe(cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                               cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, matrix_product &product) {
    if (!here().product_descriptions.has(description)) return CUBLAS_STATUS_INVALID_VALUE;
    for (cublasLtMatrixLayout_t layout : {a, b, c, d})
        if (!here().layouts.has(layout)) return CUBLAS_STATUS_INVALID_VALUE;
    product.a = {*a, description->is_transposed[0] == CUBLAS_OP_T, 0};
    product.b = {*b, description->is_transposed[1] == CUBLAS_OP_T, 0};
    product.c = {*c, false, 0};
    product.d = {*d, false, 0};
    product.bias = description->epilogue == CUBLASLT_EPILOGUE_BIAS ? description->bias : 0;
    const bool is_epilogue = description->epilogue == CUBLASLT_EPILOGUE_DEFAULT || product.bias;
    const bool is_bias_type = description->bias_type < 0 || description->bias_type == int(d->type);
    const bool are_alike = a->type == b->type && c->type == d->type;
    const bool are_bytes = a->type == CUDA_R_8I || a->type == CUDA_R_8F_E4M3;
    const bool are_types = are_alike && (are_bytes ? takes_bytes(product, description->compute, a->type == CUDA_R_8I)
                                                   : description->compute != CUBLAS_COMPUTE_32I &&
                                                         (d->type == a->type || d->type == CUDA_R_32F));
    const bool is_fast = description->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if (!is_epilogue || !is_bias_type || !are_types || (is_fast && a->type != CUDA_R_32F)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    return product.has_matching_shapes() ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

/// What an algorithm keeps in its words: that it is one, its workspace, and the alignments that it counts on.
static const uint64_t algorithm_magic = 0x6d6172746c6574;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *count) {
    *count = 0;
    if (!here().products.has(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!here().preferences.has(preference) || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
    matrix_product product{};
    const cublasStatus_t status = describe(description, a, b, c, d, product);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    memset(results, 0, sizeof *results);
    results->workspaceSize = std::min<size_t>(preference->most_workspace, 4096);
    results->state = CUBLAS_STATUS_SUCCESS;
    results->wavesCount = 1;
    uint64_t *words = results->algo.data;
    words[0] = algorithm_magic;
    words[1] = results->workspaceSize;
    for (int side = 0; side < 4; side++) words[2 + side] = preference->alignment[side];
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
                              CUstream stream) {
    if (!here().products.has(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!here().streams.has(stream) || stream->device != handle->device) return CUBLAS_STATUS_INVALID_VALUE;
    if (here().of(*stream).context.lost != CUDA_SUCCESS) return CUBLAS_STATUS_EXECUTION_FAILED;
    matrix_product product{};
    const cublasStatus_t status = describe(description, a_layout, b_layout, c_layout, d_layout, product);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const CUdeviceptr addresses[] = {CUdeviceptr(a), CUdeviceptr(b), CUdeviceptr(c), CUdeviceptr(d)};
    stored_matrix *matrices[] = {&product.a, &product.b, &product.c, &product.d};
    const uint64_t assumed[] = {algorithm_magic, 0, 16, 16, 16, 16};
    const uint64_t *words = algorithm ? algorithm->data : assumed;
    const CUdeviceptr scratch = CUdeviceptr(workspace);
    if (words[0] != algorithm_magic || workspace_bytes < words[1] || scratch % 256) return CUBLAS_STATUS_INVALID_VALUE;
    for (int side = 0; side < 4; side++) {
        matrices[side]->address = addresses[side];
        if (addresses[side] % words[2 + side]) return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (d_layout->type == CUDA_R_32I) {
        // Of such products nothing else is asked.
        const int32_t one = 1, zero = 0;
        if (memcmp(alpha, &one, sizeof one) || memcmp(beta, &zero, sizeof zero)) return CUBLAS_STATUS_NOT_SUPPORTED;
        product.alpha = 1, product.beta = 0;
    } else {
        memcpy(&product.alpha, alpha, sizeof product.alpha);
        memcpy(&product.beta, beta, sizeof product.beta);
    }
    product.workspace = scratch;
    product.workspace_bytes = words[1];
    if (!product.is_in_memory(here())) return CUBLAS_STATUS_INVALID_VALUE;
    operation work{operation::compute, [product] {
                       if (!product.is_in_memory(here())) {
                           here().complain("cublasLtMatmul of memory that was freed");
                           return CUDA_ERROR_ILLEGAL_ADDRESS;
                       }
                       product.compute();
                       return CUDA_SUCCESS;
                   }};
    here().put(stream, std::move(work));
    return CUBLAS_STATUS_SUCCESS;
}

}  // namespace emulation::emulated
