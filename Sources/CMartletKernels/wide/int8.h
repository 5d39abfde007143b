/// Products of 8-bit activations with quantised weights. Quants are laid out in fours a tile at a time in the first
/// cache, beside their groups' scales, and used for all rows; a group's sums stay in registers, and each y is the one
/// chain of scalar/int8.c, kept in memory between groups.
#ifndef MARTLET_WIDE_INT8_H
#define MARTLET_WIDE_INT8_H

#include <string.h>

#include "panel.h"

#pragma clang assume_nonnull begin

enum {
    /// Rows of activations in registers at once.
    BLOCK = MARTLET_BLOCK,
    /// Columns of a tile: 8 KiB of quants.
    COLUMNS = 512,
    /// Rows of activations that share a tile.
    CHUNK = 96,
};

/// Some columns of a panel: quants without signs and what each group's products are scaled by.
typedef struct tile {
    /// [COLUMNS / 4][16][4].
    uint8_t quants[COLUMNS * ROWS];
    /// [COLUMNS / group][16] each.
    float scales[COLUMNS / 16 * ROWS];
    float minima[COLUMNS / 16 * ROWS];
} tile;

/// Four columns of sixteen rows, to [16][4].
MARTLET_INLINE void store_fours(const __m128i four[_Nonnull 4], uint8_t *target) {
    const __m128i a = _mm_unpacklo_epi8(four[0], four[1]), b = _mm_unpackhi_epi8(four[0], four[1]);
    const __m128i c = _mm_unpacklo_epi8(four[2], four[3]), d = _mm_unpackhi_epi8(four[2], four[3]);
    __m128i *to = (__m128i *)target;
    _mm_storeu_si128(to, _mm_unpacklo_epi16(a, c));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(a, c));
    _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(b, d));
    _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(b, d));
}

/// Sixteen columns from column 16 * half of the 32 on.
MARTLET_INLINE void take_half(const martlet_dtype dtype, columns *c, const size_t half, uint8_t *target) {
    for (size_t l = 0; l < 16; l += 4) {
        __m128i four[4];
        // One after the other: a column's fifth bits are used up when it is taken.
#pragma clang loop unroll(full)
        for (size_t i = 0; i < 4; i++) four[i] = take_quants(dtype, c, half, l + i);
        store_fours(four, target + l * ROWS);
    }
}

/// Columns [first, first + count) of a panel of a constant type.
MARTLET_INLINE void fill(const martlet_dtype dtype, const uint8_t *panel, size_t first, size_t count, tile *t) {
    for (size_t k = 0; k < count; k += 32) {
        columns c = open_columns(dtype, panel, first + k);
        take_half(dtype, &c, 0, t->quants + k * ROWS);
        take_half(dtype, &c, 1, t->quants + (k + 16) * ROWS);
        if (dtype == MARTLET_Q6_K) {
            store(t->scales + k, c.scale);
            store(t->scales + k + 16, c.other);
        } else {
            store(t->scales + k / 2, c.scale);
            if (martlet_has_minimum(dtype)) store(t->minima + k / 2, c.other);
        }
    }
}

/// y[row] += x[row] . tile for `count` columns from column `first` of x on; y: [height][16]. The type and the height
/// are constants where this is called.
MARTLET_INLINE void multiply_tile(
    const martlet_dtype dtype, const size_t height, const tile *t, size_t count, const void *x, size_t row,
    size_t first, size_t columns, float *y) {
    const size_t width = martlet_group_columns(dtype);
    const bool subtracts = dtype == MARTLET_Q4_K || dtype == MARTLET_Q5_K;
    const int8_t *quants[BLOCK];
    lanes totals[BLOCK];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) {
        quants[i] = martlet_int8_quants(x, row + i, columns);
        totals[i] = load_f32(y + i * ROWS);
    }
    for (size_t k = 0; k < count; k += width) {
        ints sums[BLOCK];
        int32_t all[BLOCK];
#pragma clang loop unroll(full)
        for (size_t i = 0; i < height; i++) {
            const int32_t *of = martlet_int8_sums(quants[i], columns) + (first + k) / 16;
            all[i] = width == 16 ? of[0] : of[0] + of[1];
            sums[i] = broadcast_int(-martlet_quant_zero(dtype) * all[i]);
        }
#pragma clang loop unroll(full)
        for (size_t l = 0; l < width; l += 4) {
#pragma clang loop unroll(full)
            for (size_t i = 0; i < height; i++) {
                sums[i] = add_products(
                    sums[i], t->quants + (k + l) * ROWS, quants[i] + first + k + l, dtype == MARTLET_Q8_0);
            }
        }
        const size_t at = k / width * ROWS;
        const lanes scale = load_f32(t->scales + at);
#pragma clang loop unroll(full)
        for (size_t i = 0; i < height; i++) {
            const lanes a = broadcast(martlet_int8_scales(quants[i], columns) + (first + k) / 32);
            totals[i] = times_plus(times(scale, a), from_ints(sums[i]), totals[i]);
            if (martlet_has_minimum(dtype)) {
                // The minimum of a K type is stored as what is taken away.
                const float sum = (float)(subtracts ? -all[i] : all[i]);
                totals[i] = times_plus(times(load_f32(t->minima + at), a), broadcast(&sum), totals[i]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < height; i++) store(y + i * ROWS, totals[i]);
}

MARTLET_INLINE void multiply_block(
    const martlet_dtype dtype, size_t height, const tile *t, size_t count, const void *x, size_t row, size_t first,
    size_t columns, float *y) {
#define MARTLET_HEIGHT(n) case n: multiply_tile(dtype, n, t, count, x, row, first, columns, y); break
    switch (height) {
        MARTLET_HEIGHT(1);
        MARTLET_HEIGHT(2);
        MARTLET_HEIGHT(3);
#if MARTLET_BLOCK > 3
        MARTLET_HEIGHT(4);
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
    _Alignas(64) tile t;
    _Alignas(64) float totals[CHUNK * ROWS];
    const size_t bytes = martlet_panel_bytes(dtype, w->columns);
    for (size_t chunk = 0; chunk < rows; chunk += CHUNK) {
        const size_t some = rows - chunk < CHUNK ? rows - chunk : CHUNK;
        for (size_t panel = first; panel < last; panel++) {
            memset(totals, 0, some * ROWS * sizeof(float));
            for (size_t k = 0; k < w->columns; k += COLUMNS) {
                const size_t count = w->columns - k < COLUMNS ? w->columns - k : COLUMNS;
                fill(dtype, (const uint8_t *)w->panels + panel * bytes, k, count, &t);
                for (size_t block = 0, blocks = (some + BLOCK - 1) / BLOCK; block < blocks; block++) {
                    const size_t start = martlet_block_start(block, some, BLOCK);
                    const size_t height = martlet_block_start(block + 1, some, BLOCK) - start;
                    multiply_block(
                        dtype, height, &t, count, packed, chunk + start, k, w->columns, totals + start * ROWS);
                }
            }
            finish(w, panel, totals, some, bias, y + chunk * stride, stride);
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
