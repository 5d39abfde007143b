// Weights and activations on their way into tensor cores (mma_16x8x16), read 16 bytes a lane and dequantised in
// registers.
//
// The unit is a strip: 128 columns, four groups of 32, of one row. The four lanes t of a quad read a strip of row g
// together, 16 bytes a load, then transpose 4 x 4 words among them; so that each has, of every group, the columns 4t to
// 4t + 3 and 16 + 4t to 16 + 4t + 3: one fragment of each half. Which columns a fragment's places stand for is free as
// long as weights and activations agree. Quants enter the tensor cores as whole numbers, exact in T; a group's sum is
// multiplied by its scale in f32.
#ifndef MARTLET_FRAGMENTS_CUH
#define MARTLET_FRAGMENTS_CUH

#include "blocks.cuh"

constexpr i32 strip_columns = 128;

/// Of four words in each of a quad's lanes: word i of lane t becomes word t of lane i.
DEVICE void transpose_quad(vec4 &v) {
    const bool is_odd = lane() & 1, is_high = lane() & 2;
    const u32 a = shuffle_xor(is_odd ? v.x : v.y, 1), b = shuffle_xor(is_odd ? v.z : v.w, 1);
    v = is_odd ? vec4{a, v.y, b, v.w} : vec4{v.x, a, v.z, b};
    const u32 c = shuffle_xor(is_high ? v.x : v.z, 2), d = shuffle_xor(is_high ? v.y : v.w, 2);
    v = is_high ? vec4{c, d, v.z, v.w} : vec4{v.x, v.y, c, d};
}

/// Bits of 1 in T, twice; of the number whose last bit is worth 1 and whose lowest byte is free, in every byte.
template <class T> struct whole_numbers;
template <> struct whole_numbers<f16> {
    static constexpr u32 one = 0x3c003c00, free = 0x64646464;
};
template <> struct whole_numbers<bf16> {
    static constexpr u32 one = 0x3f803f80, free = 0x43434343;
};

/// Four quants, a byte each, as T less ZERO, exactly: put into the free byte of 1024 (f16) or 128 (bf16), a quant is
/// the distance from it. Those of 8 bits (ZERO 128) come with their sign.
template <class T, i32 ZERO> DEVICE void expand(u32 quants, u32 pairs[2]) {
    using numbers = whole_numbers<T>;
    constexpr bool is_bf16 = numbers::free == 0x43434343;
    constexpr u32 zero = ((numbers::free & 0xff00) | 0x8000) + ZERO;
    if constexpr (ZERO == 128 && !is_bf16) quants ^= 0x80808080;
    for (i32 i = 0; i < 2; i++) {
        const u32 pair = select_bytes(quants, numbers::free, i == 0 ? 0x4140 : 0x4342);
        if constexpr (ZERO == 128 && is_bf16) {
            // Only seven bits are free, the eighth is the exponent's last: 128 + them, less 128, or with a sign 256.
            pairs[i] = multiply_add_2<T>(pair & 0xff80ff80, numbers::one | 0x80008000, pair & 0xff7fff7f);
        } else {
            pairs[i] = multiply_add_2<T>(pair, numbers::one, zero << 16 | zero);
        }
    }
}

/// A lane's share of a strip of quantised weights; all lanes of the warp call its functions.
template <class F> struct strip {
    static constexpr bool is_plain = false;
    /// Loads of 16 bytes.
    static constexpr i32 loads = F::bits == 8 ? 2 : 1;
    /// Strips of two rows that a lane reads before it uses the first, and blocks of 256 threads whose registers fit.
    static constexpr i32 depth = F::bits == 4 && !F::has_minimum ? 4 : 2;
    static constexpr i32 resident = F::columns == 32 && !F::has_minimum ? 3 : 2;
    /// Whether the halves of a group have scales of their own.
    static constexpr bool has_halves = F::bits == 6;

    vec4 quants[loads];
    u32 high[2];
    /// Of group t: its scale, and its minimum or (6 bits) the scale of its second half.
    group shared;

    /// Starts reading strip `index` of row `row`; zeros where the row has ended.
    DEVICE void load(const planes<F> &w, i32 row, i32 index) {
        const i32 t = lane() % 4;
        const vec4 nothing{0, 0, 0, 0};
        high[0] = high[1] = 0;
        if constexpr (F::columns == 32) {
            const i32 in_row = w.columns / 32, first = 4 * index;
            const bool is_inside = first + t < in_row;
            const i32 at = w.block(row, is_inside ? first + t : 0);
            if constexpr (F::bits == 8) {
                for (i32 i = 0; i < 2; i++) {
                    const i32 block = first + 2 * i + t / 2;
                    const u8 *source = w.quants + i64(w.block(row, block)) * 32 + 16 * (t % 2);
                    quants[i] = block < in_row ? load_once(source) : nothing;
                }
            } else {
                quants[0] = is_inside ? load_once(w.quants + i64(at) * 16) : nothing;
            }
            if constexpr (F::bits == 5) high[0] = *(const u32 *)(w.high + i64(at) * 4);
            shared = is_inside ? w.group_of(at, 0, 0) : group{0, 0};
        } else {
            const i32 half = index % 2;
            if (index * strip_columns >= w.columns) {
                quants[0] = nothing;
                shared = group{0, 0};
                return;
            }
            const i32 at = w.block(row, index / 2);
            quants[0] = load_once(w.quants + i64(at) * 128 + 64 * half + 16 * t);
            const u8 *top = w.high + i64(at) * F::high_bytes + (F::bits == 6 ? 32 * half : 0) + 4 * t;
            if constexpr (F::bits > 4) high[0] = *(const u32 *)top, high[1] = *(const u32 *)(top + 16);
            shared = w.group_of(at, 4 * half + t, 0);
            if constexpr (has_halves) shared.minimum = w.group_of(at, 4 * half + t, 1).scale;
            // The fifth bits of this half come first.
            if constexpr (F::bits == 5) high[0] >>= 4 * half, high[1] >>= 4 * half;
        }
    }

    /// To be called once after `load`, before what follows.
    DEVICE void transpose() {
#pragma unroll
        for (i32 i = 0; i < loads; i++) transpose_quad(quants[i]);
    }

    /// The quants of group `j`, half `i`: columns 4t to 4t + 3 of it, a byte each, as `expand` takes them.
    DEVICE u32 quants_of(i32 j, i32 i) const {
        if constexpr (F::bits == 8) return word(quants[j / 2], 2 * (j % 2) + i);
        if constexpr (F::columns == 32) {
            const u32 nibbles = word(quants[0], j) >> 4 * i & 0x0f0f0f0f;
            if constexpr (F::bits == 4) return nibbles;
            const u32 fifths = shuffle(high[0], (lane() & ~3) + j);
            return nibbles | spread(fifths >> (16 * i + 4 * (lane() % 4))) << 4;
        }
        if constexpr (F::bits == 6) {
            const u32 nibbles = word(quants[0], 2 * (j % 2) + i) >> 4 * (j / 2) & 0x0f0f0f0f;
            return nibbles | (high[i] >> 2 * j & 0x03030303) << 4;
        }
        const u32 nibbles = word(quants[0], 2 * (j / 2) + i) >> 4 * (j % 2) & 0x0f0f0f0f;
        return F::bits == 4 ? nibbles : nibbles | (high[i] >> j & 0x01010101) << 4;
    }

    /// What group `j` shares, as `shared`.
    DEVICE group group_of(i32 j) const {
        const i32 source = (lane() & ~3) + j;
        const float scale = shuffle(shared.scale, source);
        return group{scale, F::has_minimum || has_halves ? shuffle(shared.minimum, source) : 0};
    }

private:
    static DEVICE u32 word(const vec4 &v, i32 i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }
};

/// A lane's share of a strip of plain weights: of group j the columns 8t to 8t + 7, for both fragments.
template <class T> struct plain_strip {
    static constexpr bool is_plain = true;
    static constexpr i32 loads = 4, depth = 1, resident = 3;

    vec4 words[loads];

    DEVICE void load(const planes<T> &w, i32 row, i32 index) {
        const T *start = w.values + i64(row) * w.columns;
#pragma unroll
        for (i32 j = 0; j < 4; j++) {
            const i32 column = strip_columns * index + 32 * j + 8 * (lane() % 4);
            words[j] = column < w.columns ? load_once(start + column) : vec4{0, 0, 0, 0};
        }
    }

    DEVICE void transpose() {}
};
template <> struct strip<f16> : plain_strip<f16> {};
template <> struct strip<bf16> : plain_strip<bf16> {};

/// The two fragments of activations of a group; `column`: this lane's first of it, x: this lane's row.
template <class F, class T> DEVICE void load_activations(const T *x, i32 column, u32 b[2][2]) {
    vec2 first, second;
    if constexpr (strip<F>::is_plain) {
        const vec4 v = *(const vec4 *)(x + column);
        first = vec2{v.x, v.y}, second = vec2{v.z, v.w};
    } else {
        first = *(const vec2 *)(x + column);
        second = *(const vec2 *)(x + column + 16);
    }
    b[0][0] = first.x, b[0][1] = first.y;
    b[1][0] = second.x, b[1][1] = second.y;
}

#endif
