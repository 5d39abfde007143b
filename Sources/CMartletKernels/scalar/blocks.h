/// The one reading of quantised blocks in a panel, element by element (MODEL.md 8.4).
#ifndef MARTLET_SCALAR_BLOCKS_H
#define MARTLET_SCALAR_BLOCKS_H

#include <string.h>

#include "../kernels.h"

#pragma clang assume_nonnull begin

enum { ROWS = MARTLET_PANEL_ROWS };

/// Item `index` of the halves at `items`, of row `row`.
static inline float half_at(const uint8_t *items, size_t index, size_t row) {
    float value;
    martlet_widen_scalar(MARTLET_F16, items + 2 * (index * ROWS + row), &value, 1);
    return value;
}

static inline int byte_at(const uint8_t *items, size_t index, size_t row) {
    return items[index * ROWS + row];
}

/// Byte `index` of the quants at `items`, which lie in fours.
static inline int quants_at(const uint8_t *items, size_t index, size_t row) {
    return items[(index / 4 * ROWS + row) * 4 + index % 4];
}

/// Element `i` of a block of 32 of a 4- or 5-bit type, quants behind `quants` and fifth bits behind `high` or NULL.
static inline int nibble_at(const uint8_t *quants, const uint8_t *_Nullable high, size_t i, size_t row) {
    const int byte = quants_at(quants, i % 16, row);
    int quant = i < 16 ? byte & 15 : byte >> 4;
    if (high) {
        uint32_t bits;
        memcpy(&bits, high + 4 * row, sizeof bits);
        quant |= (int)(bits >> i & 1) << 4;
    }
    return quant;
}

/// The 6-bit scale and minimum of sub-block `j` of a Q4_K or Q5_K block.
static inline void scale_and_minimum(const uint8_t *packed, size_t j, size_t row, int *scale, int *minimum) {
    if (j < 4) {
        *scale = byte_at(packed, j, row) & 63;
        *minimum = byte_at(packed, j + 4, row) & 63;
    } else {
        *scale = (byte_at(packed, j + 4, row) & 15) | (byte_at(packed, j - 4, row) >> 6) << 4;
        *minimum = byte_at(packed, j + 4, row) >> 4 | (byte_at(packed, j, row) >> 6) << 4;
    }
}

/// The quant without a sign, 0 through 63, of element `i` of a Q6_K block.
static inline int quant_q6_k(const uint8_t *block, size_t i, size_t row) {
    const size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
    const int byte = quants_at(block, 64 * half + 32 * (quarter % 2) + l, row);
    const int upper = quants_at(block + 128 * ROWS, 32 * half + l, row) >> (2 * quarter) & 3;
    return (quarter < 2 ? byte & 15 : byte >> 4) | upper << 4;
}

/// What the columns of a group share: their value is scale * (quant - zero) + minimum, zero being
/// `martlet_quant_zero`; the product is exact and the sum is rounded once.
typedef struct group {
    float scale, minimum;
} group;

/// The group of element `i` of row `row` of a block.
static inline group group_at(martlet_dtype dtype, const uint8_t *block, size_t i, size_t row) {
    const float d = half_at(block + (dtype == MARTLET_Q6_K ? 208 * ROWS : 0), 0, row);
    int scale = 1, minimum = 0;
    switch (dtype) {
    case MARTLET_Q4_1:
    case MARTLET_Q5_1: return (group){d, half_at(block, 1, row)};
    case MARTLET_Q4_K:
    case MARTLET_Q5_K:
        scale_and_minimum(block + 4 * ROWS, i / 32, row, &scale, &minimum);
        return (group){d * (float)scale, -(half_at(block, 1, row) * (float)minimum)};
    case MARTLET_Q6_K: {
        const size_t at = 8 * (i / 128) + 2 * (i % 128 / 32) + i % 32 / 16;
        return (group){d * (float)(int8_t)byte_at(block + 192 * ROWS, at, row), 0};
    }
    default: return (group){d, 0};
    }
}

/// The quant without a sign of element `i` of row `row` of a block.
static inline int quant_at(martlet_dtype dtype, const uint8_t *block, size_t i, size_t row) {
    const uint8_t *one = block + 2 * ROWS, *two = block + 4 * ROWS;
    const size_t j = i / 32, l = i % 32;
    switch (dtype) {
    case MARTLET_Q4_0: return nibble_at(one, NULL, i, row);
    case MARTLET_Q4_1: return nibble_at(two, NULL, i, row);
    case MARTLET_Q5_0: return nibble_at(one + 4 * ROWS, one, i, row);
    case MARTLET_Q5_1: return nibble_at(two + 4 * ROWS, two, i, row);
    case MARTLET_Q8_0: return (int8_t)quants_at(one, i, row) + 128;
    case MARTLET_Q4_K:
    case MARTLET_Q5_K: {
        const bool fifths = dtype == MARTLET_Q5_K;
        const int byte = quants_at(two + (fifths ? 44 : 12) * ROWS, 32 * (j / 2) + l, row);
        const int fifth = fifths ? quants_at(two + 12 * ROWS, l, row) >> j & 1 : 0;
        return (j % 2 ? byte >> 4 : byte & 15) | fifth << 4;
    }
    default: return quant_q6_k(block, i, row);
    }
}

#pragma clang assume_nonnull end

#endif
