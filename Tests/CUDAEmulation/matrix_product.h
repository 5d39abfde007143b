// A product of matrices as cuBLASLt is asked for it.
#ifndef MARTLET_MATRIX_PRODUCT_H
#define MARTLET_MATRIX_PRODUCT_H
#include "libraries.h"

namespace emulation {

class machine;

/// A matrix in memory of a device, by columns.
struct stored_matrix {
    cublasLtMatrixLayoutOpaque layout;
    bool is_transposed;
    CUdeviceptr address;

    /// After the transposition.
    uint64_t rows() const { return is_transposed ? layout.columns : layout.rows; }
    uint64_t columns() const { return is_transposed ? layout.rows : layout.columns; }
    size_t bytes() const;
};

struct matrix_product {
    stored_matrix a, b, c, d;
    float alpha, beta;
    /// One element a row of D, or 0.
    CUdeviceptr bias;
    CUdeviceptr workspace;
    size_t workspace_bytes;

    bool has_matching_shapes() const;
    bool is_in_memory(const machine &machine) const;
    /// Sums in f32, by eight lanes along K; of whole numbers exact ones, neither scaled nor added to.
    void compute() const;
};

}  // namespace emulation
#endif
