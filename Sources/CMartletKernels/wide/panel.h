/// Sixteen rows of a panel at one column, as the lanes of the set that includes this, from any stored type. The values
/// are those of scalar/quantized.c, bit for bit: scale times quant is exact, so that a fused multiply-add rounds where
/// the definition rounds. Both products and unpacking read panels through this file.
#ifndef MARTLET_WIDE_PANEL_H
#define MARTLET_WIDE_PANEL_H

#pragma clang assume_nonnull begin

enum { ROWS = MARTLET_PANEL_ROWS };

/// The sixteen rows' bytes of item `index`.
MARTLET_INLINE row_bytes bytes_at(const uint8_t *items, size_t index) { return load_row_bytes(items + index * ROWS); }

/// 32 columns of a panel. What the fields hold depends on the type.
typedef struct columns {
    /// Plain items, or the bytes of the quants' lower bits, and how far these are shifted.
    const uint8_t *quants;
    size_t shift;
    /// Bytes of the quants' upper bits, and how far these are shifted.
    const uint8_t *upper;
    size_t upper_shift;
    /// Factor, and what is added or subtracted; Q6_K: the factors of columns 0-15 and 16-31.
    lanes scale, other;
    /// A word of the 32 columns' fifth bits for each row.
    ints fifth_bits;
} columns;

/// d * scale and dmin * minimum of sub-block `j` of a Q4_K or Q5_K block, both exact.
MARTLET_INLINE void open_scales_k4(const uint8_t *block, size_t j, columns *c) {
    const uint8_t *packed = block + 4 * ROWS;
    row_bytes scale, minimum;
    if (j < 4) {
        scale = bits_of_bytes(bytes_at(packed, j), 0, 63);
        minimum = bits_of_bytes(bytes_at(packed, j + 4), 0, 63);
    } else {
        const row_bytes last = bytes_at(packed, j + 4);
        scale = joined_bytes(bits_of_bytes(last, 0, 15), bits_of_bytes(bytes_at(packed, j - 4), 6, 3));
        minimum = joined_bytes(bits_of_bytes(last, 4, 15), bits_of_bytes(bytes_at(packed, j), 6, 3));
    }
    c->scale = times(load_f16(block), from_bytes(scale));
    c->other = times(load_f16(block + 2 * ROWS), from_bytes(minimum));
}

MARTLET_INLINE void open_k6(const uint8_t *block, size_t j, columns *c) {
    const size_t half = j / 4, quarter = j % 4;
    const uint8_t *scales = block + (192 + 8 * half + 2 * quarter) * ROWS;
    const lanes d = load_f16(block + 208 * ROWS);
    c->quants = block + (64 * half + 32 * (quarter % 2)) * ROWS;
    c->shift = quarter < 2 ? 0 : 4;
    c->upper = block + (128 + 32 * half) * ROWS;
    c->upper_shift = 2 * quarter;
    c->scale = times(d, from_bytes(bytes_at(scales, 0)));
    c->other = times(d, from_bytes(bytes_at(scales, 1)));
}

/// Columns [first, first + 32) of a panel of a constant type; `first` is a multiple of 32.
MARTLET_INLINE columns open_columns(const martlet_dtype dtype, const uint8_t *panel, size_t first) {
    const size_t elements = martlet_block_elements(dtype);
    const uint8_t *block = panel + first / elements * (ROWS * martlet_block_bytes(dtype));
    const size_t j = first % elements / 32;
    const bool has_minimum = dtype == MARTLET_Q4_1 || dtype == MARTLET_Q5_1;
    const bool has_fifths = dtype == MARTLET_Q5_0 || dtype == MARTLET_Q5_1;
    columns c;
    switch (dtype) {
    case MARTLET_F32:
    case MARTLET_F16:
    case MARTLET_BF16: c.quants = block; break;
    case MARTLET_Q4_K:
    case MARTLET_Q5_K:
        open_scales_k4(block, j, &c);
        c.shift = j % 2 ? 4 : 0;
        c.quants = block + ((dtype == MARTLET_Q5_K ? 48 : 16) + 32 * (j / 2)) * ROWS;
        c.upper = block + 16 * ROWS;
        c.upper_shift = j;
        break;
    case MARTLET_Q6_K: open_k6(block, j, &c); break;
    default:
        c.scale = load_f16(block);
        c.quants = block + 2 * ROWS;
        if (has_minimum) {
            c.other = load_f16(c.quants);
            c.quants += 2 * ROWS;
        }
        if (has_fifths) {
            c.fifth_bits = load_ints(c.quants);
            c.quants += 4 * ROWS;
        }
        break;
    }
    return c;
}

/// Bytes `i` through i + 3 of all rows, `i` a multiple of four.
MARTLET_INLINE ints four_at(const uint8_t *items, size_t i) { return load_ints(items + i * ROWS); }

/// Quants whose upper bits, `mask` after the shift, stand above the four lower ones.
MARTLET_INLINE ints with_upper_bits(const columns *c, size_t i, char mask) {
    return joined(bits_of(four_at(c->quants, i), c->shift, 15), bits_of(four_at(c->upper, i), c->upper_shift, mask));
}

/// The quants of a quantised type at columns `i` through i + 3 of the 32, in the bytes of the rows' words: signed for
/// Q8_0, for the others without signs. `i` is a constant multiple of four.
MARTLET_INLINE ints take_four(const martlet_dtype dtype, const columns *c, const size_t i) {
    switch (dtype) {
    case MARTLET_Q8_0: return four_at(c->quants, i);
    case MARTLET_Q4_K: return bits_of(four_at(c->quants, i), c->shift, 15);
    case MARTLET_Q5_K: return with_upper_bits(c, i, 1);
    case MARTLET_Q6_K: return with_upper_bits(c, i, 3);
    default: break;
    }
    const ints nibbles = bits_of(four_at(c->quants, i % 16), i / 16 * 4, 15);
    if (dtype == MARTLET_Q4_0 || dtype == MARTLET_Q4_1) return nibbles;
    return joined(nibbles, spread_bits(c->fifth_bits, i));
}

/// Columns `i` through i + 3 of the 32 of a quantised type as f32, under the same terms.
MARTLET_INLINE void take_columns(const martlet_dtype dtype, const columns *c, const size_t i, lanes *four) {
    const char zero = dtype == MARTLET_Q8_0 ? 0 : (char)martlet_quant_zero(dtype);
    const ints quants = minus_bytes(take_four(dtype, c, i), zero);
    const lanes scale = dtype == MARTLET_Q6_K && i >= 16 ? c->other : c->scale;
#pragma clang loop unroll(full)
    for (size_t l = 0; l < 4; l++) {
        const lanes quant = from_byte_of(quants, l);
        switch (dtype) {
        case MARTLET_Q4_1:
        case MARTLET_Q5_1: four[l] = times_plus(quant, scale, c->other); break;
        case MARTLET_Q4_K:
        case MARTLET_Q5_K: four[l] = times_minus(quant, scale, c->other); break;
        default: four[l] = times(quant, scale); break;
        }
    }
}

/// Column `i` of plain items as f32.
MARTLET_INLINE lanes plain_column(const martlet_dtype dtype, const uint8_t *items, size_t i) {
    switch (dtype) {
    case MARTLET_F16: return load_f16(items + 2 * i * ROWS);
    case MARTLET_BF16: return load_bf16(items + 2 * i * ROWS);
    default: return load_f32((const float *)items + i * ROWS);
    }
}

/// Stores `height` rows' sums of one panel with the bias added; past the last row of w nothing. height is a constant.
MARTLET_INLINE void finish(
    const martlet_matrix *w, size_t panel, const size_t height, const lanes *sums, const float *_Nullable bias,
    float *y, size_t stride) {
    const size_t column = panel * ROWS, left = w->rows - column;
    if (left >= ROWS) {
        const lanes b = bias ? load_f32(bias + column) : (lanes){0};
#pragma clang loop unroll(full)
        for (size_t row = 0; row < height; row++) {
            store(y + row * stride + column, bias ? plus(sums[row], b) : sums[row]);
        }
        return;
    }
#pragma clang loop unroll(full)
    for (size_t row = 0; row < height; row++) {
        float some[ROWS];
        store(some, sums[row]);
        for (size_t i = 0; i < left; i++) y[row * stride + column + i] = bias ? some[i] + bias[column + i] : some[i];
    }
}

/// Asks for what `finish` will write to.
MARTLET_INLINE void ask_for_sums(size_t panel, size_t height, float *y, size_t stride) {
    for (size_t row = 0; row < height; row++) __builtin_prefetch(y + row * stride + panel * ROWS, 1);
}

#pragma clang assume_nonnull end

#endif
