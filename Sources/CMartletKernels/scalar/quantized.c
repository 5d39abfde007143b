/// Panels to f32, one element at a time: the definition of every block type (MODEL.md 8.4). Scales are halves of 11
/// bits, so that scale times quant is exact in f32 for every type, and each value is rounded once at most.
#include "blocks.h"


#pragma STDC FP_CONTRACT OFF

/// Q4_K, and Q5_K with its fifth bits behind `high`.
static float value_k4(
    const uint8_t *block, const uint8_t *_Nullable high, const uint8_t *quants, size_t i, size_t row) {
    const size_t j = i / 32, l = i % 32;
    int scale, minimum;
    scale_and_minimum(block + 2 * 2 * ROWS, j, row, &scale, &minimum);
    const int byte = byte_at(quants, 32 * (j / 2) + l, row);
    int quant = j % 2 ? byte >> 4 : byte & 15;
    if (high) quant += (byte_at(high, l, row) >> j & 1) * 16;
    return half_at(block, 0, row) * (float)scale * (float)quant - half_at(block, 1, row) * (float)minimum;
}

static float value_q6_k(const uint8_t *block, size_t i, size_t row) {
    const uint8_t *scales = block + 192 * ROWS, *d = scales + 16 * ROWS;
    const int scale = (int8_t)byte_at(scales, 8 * (i / 128) + 2 * (i % 128 / 32) + i % 32 / 16, row);
    return half_at(d, 0, row) * (float)scale * (float)(quant_q6_k(block, i, row) - 32);
}

/// Element `i` of row `row` of a quantised block of a panel.
static float value_at(martlet_dtype dtype, const uint8_t *block, size_t i, size_t row) {
    const uint8_t *one = block + 2 * ROWS, *two = block + 4 * ROWS;  // behind one, two halves
    switch (dtype) {
    case MARTLET_Q4_0: return (float)(nibble_at(one, NULL, i, row) - 8) * half_at(block, 0, row);
    case MARTLET_Q4_1: return (float)nibble_at(two, NULL, i, row) * half_at(block, 0, row) + half_at(block, 1, row);
    case MARTLET_Q5_0: return (float)(nibble_at(one + 4 * ROWS, one, i, row) - 16) * half_at(block, 0, row);
    case MARTLET_Q5_1:
        return (float)nibble_at(two + 4 * ROWS, two, i, row) * half_at(block, 0, row) + half_at(block, 1, row);
    case MARTLET_Q8_0: return (float)(int8_t)byte_at(one, i, row) * half_at(block, 0, row);
    case MARTLET_Q4_K: return value_k4(block, NULL, two + 12 * ROWS, i, row);
    case MARTLET_Q5_K: return value_k4(block, two + 12 * ROWS, two + 44 * ROWS, i, row);
    default: return value_q6_k(block, i, row);
    }
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
