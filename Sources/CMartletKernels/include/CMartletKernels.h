/// CMartletKernels: the arithmetic of MartletCPU, one table of function pointers per instruction set.
///
/// No kernel allocates, blocks, or keeps state; none starts a thread. Pointers never alias unless the comment says
/// so. Sizes are checked by the callers. Every kernel has a twin in scalar/ that is the truth; the twins agree bit
/// for bit unless the comment of the function type states a bound.
#ifndef C_MARTLET_KERNELS_H
#define C_MARTLET_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Element types, as MartletTensor's `DType`, in its order. Quantised blocks are those of MODEL.md 8.4.
typedef enum martlet_dtype {
    MARTLET_F32,
    MARTLET_F16,
    MARTLET_BF16,
    MARTLET_Q4_0,
    MARTLET_Q4_1,
    MARTLET_Q5_0,
    MARTLET_Q5_1,
    MARTLET_Q8_0,
    MARTLET_Q4_K,
    MARTLET_Q5_K,
    MARTLET_Q6_K,
} martlet_dtype;

// MARK: Conversion

/// y[i] = x[i] as f32, exactly; x is of a plain type (f32, f16, bf16), of any alignment.
typedef void martlet_widen_fn(martlet_dtype dtype, const void *x, float *y, size_t count);

/// y[i] = x[i] rounded to the nearest, ties to even, of a plain type. False if a finite value became infinite.
typedef bool martlet_narrow_fn(martlet_dtype dtype, const float *x, void *y, size_t count);

// MARK: Panels

/// Rows of a weight matrix that are packed, multiplied and sharded together.
enum { MARTLET_PANEL_ROWS = 16 };

/// A packed matrix [rows, columns]: ceil(rows / 16) panels one after the other. A panel is the blocks of its 16 rows
/// interleaved: for each block along the columns, for each field of the block, for each item of the field, the 16
/// rows' items. So plain types lie as [column][16]. Rows past the last are zero bytes.
typedef struct martlet_matrix {
    const void *panels;
    size_t rows;
    size_t columns;
    martlet_dtype dtype;
} martlet_matrix;

/// Packs `rows` (1 through 16) rows of whole blocks, `stride` bytes apart, into one panel: a pure permutation of
/// bytes, the missing rows zero.
typedef void martlet_pack_panel_fn(
    martlet_dtype dtype, const void *source, size_t stride, size_t rows, size_t columns, void *panel);

/// y = row `row` of w as f32; y: [columns].
typedef void martlet_unpack_row_fn(const martlet_matrix *w, size_t row, float *y);

// MARK: Products

/// Rearranges rows of activations for `multiply`; x: [rows, columns], rows `stride` apart; packed: [rows * columns].
/// Only rows [first, last) of the `rows` are touched, which must be cut at `row_block`s. One row needs no packing:
/// its packed form is itself.
typedef void martlet_pack_rows_fn(
    const float *x, size_t stride, size_t rows, size_t columns, size_t block, float *packed);

/// y = x W^T + bias for the matrix rows of panels [first, last); x: [rows, columns] packed by `pack_rows`; y: rows
/// `stride` apart, its column 0 being row 0 of w. Each y is one chain of fused multiply-adds over ascending columns
/// from zero, then one addition of the bias: whatever the number of rows (D5).
typedef void martlet_multiply_fn(
    const martlet_matrix *w, size_t first, size_t last, const float *packed, size_t rows,
    const float *_Nullable bias, float *y, size_t stride);

// MARK: Table

/// The kernels of one instruction set.
typedef struct martlet_kernel_table {
    /// "scalar", "avx2".
    const char *name;

    // Conversion, panels, products.
    martlet_widen_fn *widen;
    martlet_narrow_fn *narrow;
} martlet_kernel_table;

/// The best table this CPU and operating system can run, or the one named; NULL if there is none of that name here.
const martlet_kernel_table *_Nullable martlet_kernels(const char *_Nullable forced);

/// Names of the tables that can run here, best first; NULL past the last.
const char *_Nullable martlet_kernels_name(size_t index);

/// CPUs in this process's affinity mask; 0 where that is not known.
int martlet_allowed_cpus(void);

/// Tells the core that this thread spins.
static inline void martlet_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#pragma clang assume_nonnull end

#endif
