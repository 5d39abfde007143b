/// Panels to f32.
#ifndef MARTLET_WIDE_QUANTIZED_H
#define MARTLET_WIDE_QUANTIZED_H

#include "panel.h"

#pragma clang assume_nonnull begin

/// `unpack_panel` for a constant type.
MARTLET_INLINE void unpack(
    const martlet_dtype dtype, const uint8_t *panel, size_t first, size_t count, float *tile) {
    if (dtype <= MARTLET_BF16) {
        const uint8_t *items = panel + first * ROWS * martlet_block_bytes(dtype);
        for (size_t i = 0; i < count; i++) store(tile + i * ROWS, plain_column(dtype, items, i));
        return;
    }
    for (size_t k = 0; k < count; k += 32) {
        const columns c = open_columns(dtype, panel, first + k);
#pragma clang loop unroll(full)
        for (size_t i = 0; i < 32; i += 4) {
            lanes four[4];
            take_columns(dtype, &c, i, four);
            for (size_t l = 0; l < 4; l++) store(tile + (k + i + l) * ROWS, four[l]);
        }
    }
}

void MARTLET_SET(unpack_panel)(
    martlet_dtype dtype, const void *panel, size_t first, size_t count, float *tile) {
    switch (dtype) {
    case MARTLET_F32: unpack(MARTLET_F32, panel, first, count, tile); break;
    case MARTLET_F16: unpack(MARTLET_F16, panel, first, count, tile); break;
    case MARTLET_BF16: unpack(MARTLET_BF16, panel, first, count, tile); break;
    case MARTLET_Q4_0: unpack(MARTLET_Q4_0, panel, first, count, tile); break;
    case MARTLET_Q4_1: unpack(MARTLET_Q4_1, panel, first, count, tile); break;
    case MARTLET_Q5_0: unpack(MARTLET_Q5_0, panel, first, count, tile); break;
    case MARTLET_Q5_1: unpack(MARTLET_Q5_1, panel, first, count, tile); break;
    case MARTLET_Q8_0: unpack(MARTLET_Q8_0, panel, first, count, tile); break;
    case MARTLET_Q4_K: unpack(MARTLET_Q4_K, panel, first, count, tile); break;
    case MARTLET_Q5_K: unpack(MARTLET_Q5_K, panel, first, count, tile); break;
    case MARTLET_Q6_K: unpack(MARTLET_Q6_K, panel, first, count, tile); break;
    }
}

void MARTLET_SET(unpack_row)(const martlet_matrix *w, size_t row, float *y) {
    martlet_unpack_row_by(MARTLET_SET(unpack_panel), w, row, y);
}

#pragma clang assume_nonnull end

#endif
