/// Panels to f32, one element at a time: the definition of every block type (MODEL.md 8.4). Scales are halves of 11
/// bits, so that scale times quant is exact in f32 for every type, and each value is rounded once at most.
#include "blocks.h"

#pragma STDC FP_CONTRACT OFF

/// Element `i` of row `row` of a quantised block of a panel.
static float value_at(martlet_dtype dtype, const uint8_t *block, size_t i, size_t row) {
    const group g = group_at(dtype, block, i, row);
    const float product = g.scale * (float)(quant_at(dtype, block, i, row) - martlet_quant_zero(dtype));
    return martlet_has_minimum(dtype) ? product + g.minimum : product;
}

void martlet_unpack_panel_scalar(
    martlet_dtype dtype, const void *panel, size_t first, size_t count, float *tile) {
    const size_t elements = martlet_block_elements(dtype), bytes = ROWS * martlet_block_bytes(dtype);
    const uint8_t *blocks = panel;
    if (elements == 1) {
        martlet_widen_scalar(dtype, blocks + first * bytes, tile, count * ROWS);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *block = blocks + (first + i) / elements * bytes;
        for (size_t row = 0; row < ROWS; row++) {
            tile[i * ROWS + row] = value_at(dtype, block, (first + i) % elements, row);
        }
    }
}

void martlet_unpack_row_scalar(const martlet_matrix *w, size_t row, float *y) {
    martlet_unpack_row_by(martlet_unpack_panel_scalar, w, row, y);
}
