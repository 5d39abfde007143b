/// The tables and functions of every instruction set: <function>_<set>. Shapes and guarantees stand with the
/// function types in CMartletKernels.h.
#ifndef MARTLET_KERNELS_H
#define MARTLET_KERNELS_H

#include "CMartletKernels.h"

#include <string.h>

#pragma clang assume_nonnull begin

extern const martlet_kernel_table martlet_table_scalar;
martlet_widen_fn martlet_widen_scalar;
martlet_narrow_fn martlet_narrow_scalar;
martlet_quantize_blocks_fn martlet_quantize_blocks_scalar;
martlet_pack_panel_fn martlet_pack_panel_scalar;
martlet_unpack_panel_fn martlet_unpack_panel_scalar;
martlet_unpack_row_fn martlet_unpack_row_scalar;
martlet_multiply_fn martlet_multiply_scalar;
martlet_quantize_rows_fn martlet_quantize_rows_scalar;
martlet_multiply_int8_fn martlet_multiply_int8_scalar;
martlet_multiply_bf16_fn martlet_multiply_bf16_scalar;
martlet_add_fn martlet_add_scalar;

martlet_rms_norm_fn martlet_rms_norm_scalar;
martlet_add_rms_norm_fn martlet_add_rms_norm_scalar;
martlet_layer_norm_fn martlet_layer_norm_scalar;
martlet_silu_multiply_fn martlet_silu_multiply_scalar;
martlet_gelu_fn martlet_gelu_scalar;
martlet_rotary_table_fn martlet_rotary_table_scalar;
martlet_rotate_fn martlet_rotate_scalar;
martlet_store_fn martlet_store_scalar;
martlet_store_int8_fn martlet_store_int8_scalar;
martlet_attention_fn martlet_attention_scalar;
martlet_pack_tile_fn martlet_pack_tile_scalar;
martlet_short_attention_fn martlet_short_attention_scalar;
martlet_extract_patches_fn martlet_extract_patches_scalar;
martlet_add_positions_fn martlet_add_positions_scalar;
martlet_philox_fn martlet_philox_scalar;
martlet_maximum_fn martlet_maximum_scalar;
martlet_first_fn martlet_first_scalar;
martlet_weigh_fn martlet_weigh_scalar;
martlet_top_fn martlet_top_scalar;
martlet_keep_above_fn martlet_keep_above_scalar;
martlet_keep_best_fn martlet_keep_best_scalar;
martlet_choose_fn martlet_choose_scalar;

#if defined(__x86_64__)
extern const martlet_kernel_table martlet_table_avx2;
martlet_widen_fn martlet_widen_avx2;
martlet_narrow_fn martlet_narrow_avx2;
martlet_unpack_panel_fn martlet_unpack_panel_avx2;
martlet_unpack_row_fn martlet_unpack_row_avx2;
martlet_multiply_fn martlet_multiply_avx2;
/// `multiply` for one or two rows of activations.
martlet_multiply_fn martlet_multiply_few_avx2;
martlet_quantize_rows_fn martlet_quantize_rows_avx2;
martlet_multiply_int8_fn martlet_multiply_int8_avx2;
martlet_multiply_bf16_fn martlet_multiply_bf16_avx2;
martlet_add_fn martlet_add_avx2;

martlet_rms_norm_fn martlet_rms_norm_avx2;
martlet_add_rms_norm_fn martlet_add_rms_norm_avx2;
martlet_layer_norm_fn martlet_layer_norm_avx2;
martlet_silu_multiply_fn martlet_silu_multiply_avx2;
martlet_rotate_fn martlet_rotate_avx2;
martlet_store_fn martlet_store_avx2;
martlet_attention_fn martlet_attention_avx2;
martlet_pack_tile_fn martlet_pack_tile_avx2;
martlet_short_attention_fn martlet_short_attention_avx2;
martlet_add_positions_fn martlet_add_positions_avx2;
martlet_maximum_fn martlet_maximum_avx2;
martlet_first_fn martlet_first_avx2;
martlet_weigh_fn martlet_weigh_avx2;

/// Byte products in one instruction; the rest of its table is avx2's.
extern const martlet_kernel_table martlet_table_avxvnni;
martlet_multiply_int8_fn martlet_multiply_int8_avxvnni;

/// Where a register of sixteen numbers pays; the rest of its table is avx2's.
extern const martlet_kernel_table martlet_table_avx512;
martlet_unpack_panel_fn martlet_unpack_panel_avx512;
martlet_unpack_row_fn martlet_unpack_row_avx512;
martlet_multiply_fn martlet_multiply_avx512;
martlet_multiply_fn martlet_multiply_few_avx512;
martlet_multiply_int8_fn martlet_multiply_int8_avx512;
martlet_multiply_bf16_fn martlet_multiply_bf16_avx512;
martlet_attention_fn martlet_attention_avx512;
martlet_short_attention_fn martlet_short_attention_avx512;

/// Products of bf16 in one instruction; the rest of its table is avx512's.
extern const martlet_kernel_table martlet_table_avx512bf16;
martlet_multiply_bf16_fn martlet_multiply_bf16_avx512bf16;
martlet_short_attention_fn martlet_short_attention_avx512bf16;
#endif

#if defined(__aarch64__)
/// Processors with the dot product; the rest of its table is scalar's, much of which the compiler makes wide.
extern const martlet_kernel_table martlet_table_neon;
martlet_widen_fn martlet_widen_neon;
martlet_narrow_fn martlet_narrow_neon;
martlet_unpack_panel_fn martlet_unpack_panel_neon;
martlet_unpack_row_fn martlet_unpack_row_neon;
martlet_multiply_fn martlet_multiply_neon;
/// `multiply` for one or two rows of activations.
martlet_multiply_fn martlet_multiply_few_neon;
martlet_quantize_rows_fn martlet_quantize_rows_neon;
martlet_multiply_int8_fn martlet_multiply_int8_neon;
martlet_multiply_bf16_fn martlet_multiply_bf16_neon;
martlet_attention_fn martlet_attention_neon;
#endif

/// Bytes of one block of a row, and the elements it holds.
static inline size_t martlet_block_bytes(martlet_dtype dtype) {
    static const uint8_t bytes[] = {4, 2, 2, 18, 20, 22, 24, 34, 144, 176, 210};
    return bytes[dtype];
}

static inline size_t martlet_block_elements(martlet_dtype dtype) {
    return dtype <= MARTLET_BF16 ? 1 : dtype <= MARTLET_Q8_0 ? 32 : 256;
}

/// What is to be taken from the unsigned quants of a quantised type; 0 for the types that store a minimum.
static inline int martlet_quant_zero(martlet_dtype dtype) {
    static const uint8_t zeros[] = {0, 0, 0, 8, 0, 16, 0, 128, 0, 0, 32};
    return zeros[dtype];
}

static inline bool martlet_has_minimum(martlet_dtype dtype) {
    return dtype == MARTLET_Q4_1 || dtype == MARTLET_Q5_1 || dtype == MARTLET_Q4_K || dtype == MARTLET_Q5_K;
}

/// Columns that share a scale.
static inline size_t martlet_group_columns(martlet_dtype dtype) { return dtype == MARTLET_Q6_K ? 16 : 32; }

/// Where the parts of a row of 8-bit activations are (CMartletKernels.h).
static inline const int8_t *martlet_int8_quants(const void *packed, size_t row, size_t columns) {
    return (const int8_t *)packed + row * martlet_int8_row_bytes(columns);
}

static inline const float *martlet_int8_scales(const int8_t *row, size_t columns) {
    return (const float *)(const void *)(row + columns);
}

static inline const float *martlet_int8_sums(const int8_t *row, size_t columns) {
    return martlet_int8_scales(row, columns) + columns / 32;
}

static inline const float *martlet_int8_halves(const int8_t *row, size_t columns) {
    return martlet_int8_sums(row, columns) + columns / 32;
}

/// Bytes of a panel of this many columns.
static inline size_t martlet_panel_bytes(martlet_dtype dtype, size_t columns) {
    return columns / martlet_block_elements(dtype) * martlet_block_bytes(dtype) * MARTLET_PANEL_ROWS;
}

/// Row at which block `index` of `rows` begins, in blocks of at most `block`.
static inline size_t martlet_block_start(size_t index, size_t rows, size_t block) {
    return index * rows / ((rows + block - 1) / block);
}

/// `unpack_row` by way of an `unpack_panel`: the table of an embedding is read by the same code as its head.
static inline void martlet_unpack_row_by(
    martlet_unpack_panel_fn *unpack, const martlet_matrix *w, size_t row, float *y) {
    enum { COLUMNS = 64 };
    _Alignas(64) float tile[COLUMNS * MARTLET_PANEL_ROWS];
    const char *panel = (const char *)w->panels + row / MARTLET_PANEL_ROWS * martlet_panel_bytes(w->dtype, w->columns);
    for (size_t first = 0; first < w->columns; first += COLUMNS) {
        const size_t count = w->columns - first < COLUMNS ? w->columns - first : COLUMNS;
        unpack(w->dtype, panel, first, count, tile);
        for (size_t i = 0; i < count; i++) y[first + i] = tile[i * MARTLET_PANEL_ROWS + row % MARTLET_PANEL_ROWS];
    }
}

/// Lets numbers below 2^-126 count as zero, on the way in and out, as they do for x86's instruction of bf16; returns
/// what `martlet_end_flushing` is to restore.
#if defined(__x86_64__)
static inline unsigned long martlet_begin_flushing(void) {
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040);
    return before;
}

static inline void martlet_end_flushing(unsigned long before) { __builtin_ia32_ldmxcsr((unsigned)before); }
#elif defined(__aarch64__)
static inline unsigned long martlet_begin_flushing(void) {
    unsigned long before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ul << 24));
    return before;
}

static inline void martlet_end_flushing(unsigned long before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}
#endif

/// `pack_tile` by way of a `narrow`.
static inline void martlet_pack_tile_by(
    martlet_narrow_fn *narrow, const float *keys, const float *values, size_t stride, size_t count, size_t dimension,
    uint16_t *tile) {
    enum { ROWS = MARTLET_PANEL_ROWS, TILE = MARTLET_SHORT_TILE };
    uint16_t *key_panels = tile, *value_panels = tile + TILE * dimension;
    memset(tile, 0, martlet_short_tile(dimension) * sizeof *tile);
    for (size_t j = 0; j < count; j++) {
        for (size_t d = 0; d < dimension; d += ROWS) {
            uint16_t some[ROWS];
            // What is too large becomes infinite, as in arithmetic.
            (void)narrow(MARTLET_BF16, keys + j * stride + d, some, ROWS);
            for (size_t i = 0; i < ROWS; i++) {
                key_panels[j / ROWS * ROWS * dimension + (d + i) * ROWS + j % ROWS] = some[i];
            }
            (void)narrow(MARTLET_BF16, values + j * stride + d, value_panels + d * TILE + j * ROWS, ROWS);
        }
    }
}

#pragma clang assume_nonnull end

#endif
