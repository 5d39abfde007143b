/// Products of 8-bit activations with quantised weights: quants go from memory to registers as bytes, a group's
/// products are summed there exactly, and each y is the one chain of scalar/int8.c.
#ifndef MARTLET_WIDE_INT8_H
#define MARTLET_WIDE_INT8_H

#include "panel.h"

#pragma clang assume_nonnull begin

enum {
    /// Rows of activations in registers at once.
    BLOCK = MARTLET_BLOCK,
    /// Rows of activations that stay in the second cache while panels pass.
    CHUNK = 96,
    /// How many columns ahead weights are asked for.
    AHEAD = 512,
};

/// Bits of the quants of a type.
MARTLET_INLINE size_t quant_bits(const martlet_dtype dtype) {
    switch (dtype) {
    case MARTLET_Q4_0:
    case MARTLET_Q4_1:
    case MARTLET_Q4_K: return 4;
    case MARTLET_Q5_0:
    case MARTLET_Q5_1:
    case MARTLET_Q5_K: return 5;
    case MARTLET_Q6_K: return 6;
    default: return 8;
    }
}

/// Products of one group's columns, from column `from` of the 32 on: whole sums of rows x, whose quants of these 32
/// columns are given.
MARTLET_INLINE void multiply_group(
    const martlet_dtype dtype, const size_t height, const columns *c, const size_t from,
    const int8_t *_Nonnull const x[_Nonnull BLOCK], ints *sums) {
    const size_t fours = martlet_group_columns(dtype) / 4, limit = fours_of_partial(quant_bits(dtype));
    partial parts[BLOCK];
#pragma clang loop unroll(full)
    for (size_t n = 0; n < fours; n++) {
        // Columns i and i + 16 are nibbles of the same bytes: taken one after the other.
        const size_t i = fours == 8 ? n / 2 * 4 + n % 2 * 16 : from + n * 4;
        const bool starts = n % limit == 0, ends = n % limit == limit - 1 || n == fours - 1;
        const ints quants = take_four(dtype, c, i);
        const ints w = dtype == MARTLET_Q8_0 ? without_signs(quants) : quants;
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            partial *part = &parts[row];
            *part = dtype == MARTLET_Q8_0 ? add_signed_products(starts, *part, w, quants, x[row] + i)
                                          : add_products(starts, *part, w, x[row] + i);
            if (ends) sums[row] = n < limit ? to_ints(*part) : add_ints(sums[row], to_ints(*part));
        }
    }
}

/// A block of rows of 8-bit activations, from some column on.
typedef struct rows {
    const int8_t *_Nonnull quants[BLOCK];
    /// Of groups of 32: their scales, the sums of their quants and of the first half of these.
    const float *_Nonnull scales[BLOCK];
    const float *_Nonnull sums[BLOCK];
    const float *_Nonnull halves[BLOCK];
} rows;

MARTLET_INLINE rows open_rows(const size_t height, const void *packed, size_t row, size_t columns) {
    rows x;
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) {
        x.quants[i] = martlet_int8_quants(packed, row + i, columns);
        x.scales[i] = martlet_int8_scales(x.quants[i], columns);
        x.sums[i] = martlet_int8_sums(x.quants[i], columns);
        x.halves[i] = martlet_int8_halves(x.quants[i], columns);
    }
    return x;
}

/// totals[row] += one group: the 32 columns, or the 16 of them from column `from` on; `index` counts groups of 32.
MARTLET_INLINE void add_group(
    const martlet_dtype dtype, const size_t height, const columns *c, const size_t from, const rows *x, size_t index,
    lanes *totals) {
    ints products[BLOCK];
    multiply_group(dtype, height, c, from, x->quants, products);
    const float zero_value = (float)(dtype == MARTLET_Q8_0 ? SIGNED_ZERO : martlet_quant_zero(dtype));
    const lanes zero = broadcast(&zero_value), scale = dtype == MARTLET_Q6_K && from > 0 ? c->other : c->scale;
#pragma clang loop unroll(full)
    for (size_t row = 0; row < height; row++) {
        const lanes a = broadcast(x->scales[row] + index);
        lanes sum = broadcast(x->sums[row] + index);
        if (martlet_group_columns(dtype) == 16) {
            const lanes half = broadcast(x->halves[row] + index);
            sum = from == 0 ? half : minus(sum, half);
        }
        // Whole numbers below 2^24: exact.
        lanes product = from_ints(products[row]);
        if (zero_value > 0) product = minus_times(zero, sum, product);
        totals[row] = times_plus(times(scale, a), product, totals[row]);
        if (dtype == MARTLET_Q4_1 || dtype == MARTLET_Q5_1) {
            totals[row] = times_plus(times(c->other, a), sum, totals[row]);
        } else if (martlet_has_minimum(dtype)) {
            // The minimum of a K type is stored as what is taken away.
            totals[row] = minus_times(times(c->other, a), sum, totals[row]);
        }
    }
}

/// A panel times `height` rows of x from `row` on. The type and the height are constants.
MARTLET_INLINE void multiply_panel(
    const martlet_dtype dtype, const size_t height, const martlet_matrix *w, size_t panel, const void *packed,
    size_t row, const float *_Nullable bias, float *y, size_t stride) {
    const size_t bytes = ROWS * martlet_block_bytes(dtype) * 32 / martlet_block_elements(dtype);
    const uint8_t *from = (const uint8_t *)w->panels + panel * martlet_panel_bytes(dtype, w->columns);
    rows x = open_rows(height, packed, row, w->columns);
    lanes totals[BLOCK];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) totals[i] = (lanes){0};
    for (size_t k = 0; k < w->columns; k += 32) {
        const columns c = open_columns(dtype, from, k);
        const char *ahead = (const char *)from + (k + AHEAD) / 32 * bytes;
        for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(ahead + line);
        add_group(dtype, height, &c, 0, &x, k / 32, totals);
        if (martlet_group_columns(dtype) == 16) add_group(dtype, height, &c, 16, &x, k / 32, totals);
#pragma clang loop unroll(full)
        for (size_t i = 0; i < height; i++) x.quants[i] += 32;
    }
    finish(w, panel, height, totals, bias, y + row * stride, stride);
}

/// `multiply_panel` of any height.
MARTLET_INLINE void multiply_block(
    const martlet_dtype dtype, size_t height, const martlet_matrix *w, size_t panel, const void *packed, size_t row,
    const float *_Nullable bias, float *y, size_t stride) {
#define MARTLET_HEIGHT(n) case n: multiply_panel(dtype, n, w, panel, packed, row, bias, y, stride); break
    switch (height) {
        MARTLET_HEIGHT(1);
        MARTLET_HEIGHT(2);
        MARTLET_HEIGHT(3);
        MARTLET_HEIGHT(4);
#if MARTLET_BLOCK > 4
        MARTLET_HEIGHT(5);
        MARTLET_HEIGHT(6);
        MARTLET_HEIGHT(7);
        MARTLET_HEIGHT(8);
#endif
    default: __builtin_unreachable();
    }
#undef MARTLET_HEIGHT
}

/// `multiply_int8` of a constant type.
MARTLET_INLINE void multiply_all(
    const martlet_dtype dtype, const martlet_matrix *w, size_t first, size_t last, const void *packed, size_t rows,
    const float *_Nullable bias, float *y, size_t stride) {
    for (size_t chunk = 0; chunk < rows; chunk += CHUNK) {
        const size_t some = rows - chunk < CHUNK ? rows - chunk : CHUNK, blocks = (some + BLOCK - 1) / BLOCK;
        for (size_t panel = first; panel < last; panel++) {
            for (size_t block = 0; block < blocks; block++) {
                const size_t start = martlet_block_start(block, some, BLOCK);
                const size_t height = martlet_block_start(block + 1, some, BLOCK) - start;
                multiply_block(dtype, height, w, panel, packed, chunk + start, bias, y, stride);
            }
        }
    }
}

void MARTLET_SET(multiply_int8)(
    const martlet_matrix *w, size_t first, size_t last, const void *packed, size_t rows, const float *_Nullable bias,
    float *y, size_t stride) {
    switch (w->dtype) {
    case MARTLET_Q4_0: multiply_all(MARTLET_Q4_0, w, first, last, packed, rows, bias, y, stride); break;
    case MARTLET_Q4_1: multiply_all(MARTLET_Q4_1, w, first, last, packed, rows, bias, y, stride); break;
    case MARTLET_Q5_0: multiply_all(MARTLET_Q5_0, w, first, last, packed, rows, bias, y, stride); break;
    case MARTLET_Q5_1: multiply_all(MARTLET_Q5_1, w, first, last, packed, rows, bias, y, stride); break;
    case MARTLET_Q8_0: multiply_all(MARTLET_Q8_0, w, first, last, packed, rows, bias, y, stride); break;
    case MARTLET_Q4_K: multiply_all(MARTLET_Q4_K, w, first, last, packed, rows, bias, y, stride); break;
    case MARTLET_Q5_K: multiply_all(MARTLET_Q5_K, w, first, last, packed, rows, bias, y, stride); break;
    case MARTLET_Q6_K: multiply_all(MARTLET_Q6_K, w, first, last, packed, rows, bias, y, stride); break;
    default: __builtin_unreachable();
    }
}

#pragma clang assume_nonnull end

#endif
