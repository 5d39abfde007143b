// Formats of weights (MODEL.md 8.4) and how a matrix of them lies on the device.
//
// A matrix [outputs, columns] is its blocks taken apart: one plane for each field of a block, in the order of the
// fields, each [outputs][blocks of a row][bytes of the field] and beginning at a multiple of 256 bytes. So quants are
// read 16 bytes at a time by neighbouring lanes, whatever the size of a block. A plain matrix is one plane.
#ifndef MARTLET_BLOCKS_CUH
#define MARTLET_BLOCKS_CUH

#include "device.cuh"

typedef float f32;

/// A format of quantised weights: `columns` in a block, `bits` a quant; a value is scale * (quant - zero) + minimum,
/// the product exact in f32, the sum rounded once. Formats of 256 columns have scales of their own for each 32 columns
/// (6 bits: each 16).
template <i32 COLUMNS, i32 BITS, bool HAS_MINIMUM> struct block_format {
    static constexpr i32 columns = COLUMNS, bits = BITS;
    static constexpr bool has_minimum = HAS_MINIMUM;
    static constexpr i32 zero = HAS_MINIMUM ? 0 : 1 << (BITS - 1);

    // Bytes of each field of a block; 0: no such field.
    static constexpr i32 scale_bytes = HAS_MINIMUM ? 4 : 2;
    static constexpr i32 subscale_bytes = COLUMNS == 32 ? 0 : BITS == 6 ? 16 : 12;
    static constexpr i32 high_bytes = BITS == 5 ? COLUMNS / 8 : BITS == 6 ? COLUMNS / 4 : 0;
    static constexpr i32 quant_bytes = BITS == 8 ? COLUMNS : COLUMNS / 2;
};

using q4_0 = block_format<32, 4, false>;
using q4_1 = block_format<32, 4, true>;
using q5_0 = block_format<32, 5, false>;
using q5_1 = block_format<32, 5, true>;
using q8_0 = block_format<32, 8, false>;
using q4_K = block_format<256, 4, true>;
using q5_K = block_format<256, 5, true>;
using q6_K = block_format<256, 6, false>;

/// Two words of one 8-byte load.
struct alignas(8) vec2 {
    u32 x, y;
};

/// What columns share.
struct group {
    float scale, minimum;
};

/// Eight quants without a sign, a byte each.
struct octet {
    u32 words[2];

    DEVICE i32 operator[](i32 i) const { return i32(words[i / 4] >> (8 * (i % 4)) & 255); }
};

DEVICE float half_at(const u8 *place) { return widen(*(const f16 *)place); }

/// Four bits, each the lowest of a byte.
DEVICE u32 spread(u32 bits) { return (bits & 15) * 0x00204081 & 0x01010101; }

/// The 6-bit scale and minimum of sub-block `j` of a block of 256 columns in 4 or 5 bits; packed: its 12 bytes.
DEVICE void scale_and_minimum(const u8 *packed, i32 j, i32 &scale, i32 &minimum) {
    const i32 first = packed[j % 4], second = packed[j % 4 + 4], third = packed[j % 4 + 8];
    scale = j < 4 ? first & 63 : (third & 15) | first >> 6 << 4;
    minimum = j < 4 ? second & 63 : third >> 4 | second >> 6 << 4;
}

/// A quantised matrix [outputs, columns] and where its planes begin.
template <class F> struct planes {
    const u8 *scales, *subscales, *high, *quants;
    i32 outputs, columns;

    DEVICE planes(const void *w, i32 outputs, i32 columns) : outputs(outputs), columns(columns) {
        const u8 *next = (const u8 *)w;
        if constexpr (F::bits == 6) {
            quants = take(next, F::quant_bytes);
            high = take(next, F::high_bytes);
            subscales = take(next, F::subscale_bytes);
            scales = take(next, F::scale_bytes);
        } else {
            scales = take(next, F::scale_bytes);
            subscales = take(next, F::subscale_bytes);
            high = take(next, F::high_bytes);
            quants = take(next, F::quant_bytes);
        }
    }

    /// Where block `index` of row `row` is in every plane; a matrix has fewer than 2^31 blocks.
    DEVICE i32 block(i32 row, i32 index) const { return row * (columns / F::columns) + index; }

    /// What columns 32 j to 32 j + 31 of a block share; in 6 bits the scale is that of half `half` of them.
    DEVICE group group_of(i32 block, i32 j, i32 half) const {
        const u8 *scale = scales + i64(block) * F::scale_bytes;
        const float d = half_at(scale);
        if constexpr (F::columns == 32) return group{d, F::has_minimum ? half_at(scale + 2) : 0};
        if constexpr (F::bits == 6) return group{d * float(i8(subscales[i64(block) * 16 + 2 * j + half])), 0};
        i32 s, m;
        scale_and_minimum(subscales + i64(block) * F::subscale_bytes, j, s, m);
        return group{d * float(s), -(half_at(scale + 2) * float(m))};
    }

    /// The quants of columns i to i + 7 of a block; i: a multiple of 8.
    DEVICE octet quants_of(i32 block, i32 i) const {
        const i32 j = i / 32, l = i % 32;
        const u8 *low = quants + i64(block) * F::quant_bytes, *top = high + i64(block) * F::high_bytes;
        if constexpr (F::bits == 8) {
            const vec2 words = *(const vec2 *)(low + i);
            return octet{{words.x ^ 0x80808080, words.y ^ 0x80808080}};
        }
        // Columns of nibbles share a byte with those 16 on, in blocks of 256 with those 32 on (6 bits: 64).
        const i32 place = F::columns == 32 ? l % 16 : F::bits == 6 ? 64 * (j / 4) + 32 * (j % 2) + l : 32 * (j / 2) + l;
        const i32 shift = 4 * (F::columns == 32 ? l / 16 : F::bits == 6 ? j % 4 / 2 : j % 2);
        const vec2 words = *(const vec2 *)(low + place);
        octet result{{words.x >> shift & 0x0f0f0f0f, words.y >> shift & 0x0f0f0f0f}};
        if constexpr (F::bits == 5 && F::columns == 32) {
            const u32 fifths = *(const u32 *)top >> i;
            result.words[0] |= spread(fifths) << 4;
            result.words[1] |= spread(fifths >> 4) << 4;
        } else if constexpr (F::bits == 5) {
            const vec2 fifths = *(const vec2 *)(top + l);
            result.words[0] |= (fifths.x >> j & 0x01010101) << 4;
            result.words[1] |= (fifths.y >> j & 0x01010101) << 4;
        } else if constexpr (F::bits == 6) {
            const vec2 upper = *(const vec2 *)(top + 32 * (j / 4) + l);
            result.words[0] |= (upper.x >> 2 * (j % 4) & 0x03030303) << 4;
            result.words[1] |= (upper.y >> 2 * (j % 4) & 0x03030303) << 4;
        }
        return result;
    }

    /// The values of columns `column` to `column` + 7 (a multiple of 8), as the CPU's scalar kernels read them.
    DEVICE void read(i32 row, i32 column, float values[8]) const {
        const i32 at = block(row, column / F::columns);
        const i32 i = column % F::columns;
        const group shared = group_of(at, i / 32, i % 32 / 16);
        const octet bytes = quants_of(at, i);
        for (i32 k = 0; k < 8; k++) {
            const float product = shared.scale * float(bytes[k] - F::zero);
            values[k] = F::has_minimum ? product + shared.minimum : product;
        }
    }

private:
    /// The plane that begins at `next`, which moves to the one after it.
    DEVICE const u8 *take(const u8 *&next, i32 field_bytes) {
        const u8 *plane = next;
        const i64 bytes = i64(outputs) * (columns / F::columns) * field_bytes;
        next += (bytes + 255) / 256 * 256;
        return plane;
    }
};

/// A plain matrix: [outputs][columns].
template <class T> struct plain {
    const T *values;
    i32 outputs, columns;

    DEVICE plain(const void *w, i32 outputs, i32 columns)
        : values((const T *)w), outputs(outputs), columns(columns) {}

    /// Columns `column` to `column` + 7, zeros past the last.
    DEVICE void read(i32 row, i32 column, float result[8]) const {
        for (i32 k = 0; k < 8; k++) {
            result[k] = column + k < columns ? widen(values[i64(row) * columns + column + k]) : 0;
        }
    }
};
template <> struct planes<f32> : plain<f32> {
    using plain<f32>::plain;
};
template <> struct planes<f16> : plain<f16> {
    using plain<f16>::plain;
};
template <> struct planes<bf16> : plain<bf16> {
    using plain<bf16>::plain;
};

#endif
