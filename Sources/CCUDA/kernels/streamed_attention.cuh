// Attention of at most 16 queries, as in decoding: each of four warps has all queries and takes runs of 16 positions in
// turn, whose keys and values go from memory into registers, the next keys while it computes. No run crosses a block
// of the cache.
#ifndef MARTLET_STREAMED_ATTENTION_CUH
#define MARTLET_STREAMED_ATTENTION_CUH

#include "fragments.cuh"
#include "query_limits.cuh"
#include "softmax.cuh"

/// COUNT words from `address`, a multiple of as many bytes; zeros where not `is_valid`.
template <i32 COUNT> DEVICE void load_words(u32 (&words)[COUNT], const void *address, bool is_valid) {
    if constexpr (COUNT == 4) {
        const vec4 loaded = is_valid ? load_once(address) : vec4{0, 0, 0, 0};
        words[0] = loaded.x;
        words[1] = loaded.y;
        words[2] = loaded.z;
        words[3] = loaded.w;
    } else if constexpr (COUNT == 2) {
        const u64 loaded = is_valid ? *(const u64 *)address : 0;
        words[0] = u32(loaded);
        words[1] = u32(loaded >> 32);
    } else {
        words[0] = is_valid ? *(const u32 *)address : 0;
    }
}

/// T: f16 or bf16; C: the cache's type, T or bytes; D: dimension, 16 to 128. In a fragment's terms (mma_16x8x16) a lane
/// has g = lane() / 4 and t = lane() % 4. Sums over dimensions, and the columns of a product, may be taken in any
/// order: in that of memory. Bytes enter products as whole numbers, exact in T; a score is multiplied by the key's
/// scale, a weight by the value's, relative to the greatest of its run, and the run's product by that.
template <class T, class C, i32 D> struct streamed_attention {
    static constexpr i32 WARPS = 4, RUN = 16, QUERIES = 16;
    static constexpr bool IS_BYTES = sizeof(C) == 1;
    static constexpr i32 MOST = 16 / sizeof(C), WORD = 4 / sizeof(C);
    /// What a lane has of a key: from dimension (4 i + t) * KEY on, KEY of them, for each i; a step of a product has
    /// four of these.
    static constexpr i32 KEY = D / 4 < MOST ? D / 4 : MOST, KEY_LOADS = D / (4 * KEY);
    /// Of a value: from (8 i + g) * VALUE on, VALUE of them, for each i.
    static constexpr i32 VALUE = D / 8 < MOST ? D / 8 : MOST, VALUE_LOADS = D / (8 * VALUE);
    /// Of D = 16, two bytes.
    static constexpr i32 VALUE_WORDS = VALUE < WORD ? 1 : VALUE / WORD;

    const C *keys, *values;
    /// Null unless they are bytes.
    const float *key_scales, *value_scales;

    u32 queries[D / 16][4];
    /// Column n of fragment i * VALUE + j is dimension (8 i + n) * VALUE + j.
    float sums[D / 8][4];
    softmax_state softmax;
    /// Of positions g and g + 8 of a run.
    u32 key_words[2][KEY_LOADS][KEY / WORD];
    /// Of positions 2 t, 2 t + 1, 2 t + 8, 2 t + 9, as the two scales.
    u32 value_words[4][VALUE_LOADS][VALUE_WORDS];
    float key_scale[4], value_scale[4];

    /// `start(i)`: where query i begins, null for one that is not there.
    template <class Start> DEVICE void load_queries(const Start &start) {
        softmax.begin();
#pragma unroll
        for (i32 half = 0; half < 2; half++) {
            const u32 *const words = (const u32 *)start(lane() / 4 + 8 * half);
#pragma unroll
            for (i32 step = 0; step < D / 16; step++) {
                const i32 load = step / (KEY / 4), word = (4 * load + lane() % 4) * (KEY / 2) + step % (KEY / 4) * 2;
                queries[step][half] = words ? words[word] : 0;
                queries[step][half + 2] = words ? words[word + 1] : 0;
            }
        }
#pragma unroll
        for (i32 i = 0; i < D / 8; i++) {
            for (i32 j = 0; j < 4; j++) sums[i][j] = 0;
        }
    }

    /// The position in a run of this lane's value k.
    static DEVICE i32 value_row(i32 k) { return lane() % 4 * 2 + k % 2 + k / 2 * 8; }

    DEVICE void load_scales(const float *scales, i64 run, i32 first, i32 last, float (&own)[4]) {
#pragma unroll
        for (i32 k = 0; k < 4; k++) own[k] = first + value_row(k) <= last ? scales[run + value_row(k)] : 0;
    }

    template <class Rows> DEVICE void load_keys(const Rows &rows, i32 first, i32 last) {
        const C *const run = keys + rows.offset(first);
#pragma unroll
        for (i32 half = 0; half < 2; half++) {
            const i32 row = lane() / 4 + 8 * half;
#pragma unroll
            for (i32 i = 0; i < KEY_LOADS; i++) {
                load_words(key_words[half][i], run + row * D + (4 * i + lane() % 4) * KEY, first + row <= last);
            }
        }
        if constexpr (IS_BYTES) load_scales(key_scales, rows.row(first), first, last, key_scale);
    }

    template <class Rows> DEVICE void load_values(const Rows &rows, i32 first, i32 last) {
        const C *const run = values + rows.offset(first);
#pragma unroll
        for (i32 k = 0; k < 4; k++) {
            const i32 row = value_row(k);
#pragma unroll
            for (i32 i = 0; i < VALUE_LOADS; i++) {
                const C *const start = run + row * D + (8 * i + lane() / 4) * VALUE;
                if constexpr (VALUE < WORD) {
                    value_words[k][i][0] = first + row <= last ? *(const u16 *)start : 0;
                } else {
                    load_words(value_words[k][i], start, first + row <= last);
                }
            }
        }
        if constexpr (IS_BYTES) load_scales(value_scales, rows.row(first), first, last, value_scale);
    }

    /// Pair `index` of some words' elements, as T.
    template <i32 COUNT> static DEVICE u32 pair(const u32 (&words)[COUNT], i32 index) {
        if constexpr (IS_BYTES) {
            u32 pairs[2];
            expand<T, 128>(words[index / 2], pairs);
            return pairs[index % 2];
        } else {
            return words[index];
        }
    }

    DEVICE void score(float (&scores)[2][4]) const {
#pragma unroll
        for (i32 step = 0; step < D / 16; step++) {
            const i32 load = step / (KEY / 4), first = step % (KEY / 4) * 2;
#pragma unroll
            for (i32 half = 0; half < 2; half++) {
                const u32 factor[2] = {pair(key_words[half][load], first), pair(key_words[half][load], first + 1)};
                mma_16x8x16<T>(scores[half], queries[step], factor);
            }
        }
        if constexpr (IS_BYTES) {
#pragma unroll
            for (i32 j = 0; j < 8; j++) scores[j / 4][j % 4] *= key_scale[j / 4 * 2 + j % 2];
        }
    }

    /// Multiplies weights by their values' scales, relative to the greatest of the run, which it returns.
    DEVICE float scale_weights(float (&weights)[2][4], i32 first, const row_limits &limits) const {
        float greatest = fmaxf(fmaxf(value_scale[0], value_scale[1]), fmaxf(value_scale[2], value_scale[3]));
        greatest = fmaxf(greatest, shuffle_xor(greatest, 1));
        greatest = fmaxf(greatest, shuffle_xor(greatest, 2));
        const float inverse = greatest > 0 ? 1 / greatest : 0;
        const i32 own[2] = {limits.of(lane() / 4), limits.of(lane() / 4 + 8)};
#pragma unroll
        for (i32 j = 0; j < 8; j++) {
            const i32 k = j / 4 * 2 + j % 2;
            float &weight = weights[j / 4][j % 4];
            // A scale past a row's limit may be no number.
            weight = first + value_row(k) <= own[j % 4 / 2] ? weight * (value_scale[k] * inverse) : 0;
        }
        return greatest;
    }

    /// Dimension j of this lane's part i of the values at two neighbouring positions, k = 0 or 2.
    DEVICE u32 value_pair(i32 k, i32 i, i32 j) const {
        const u32 a = pair(value_words[k][i], j / 2), b = pair(value_words[k + 1][i], j / 2);
        return select_bytes(a, b, j % 2 == 0 ? 0x5410 : 0x7632);
    }

    /// sums += weights values * factor.
    DEVICE void multiply(const u32 (&weights)[4], float factor) {
#pragma unroll
        for (i32 i = 0; i < VALUE_LOADS * VALUE; i++) {
            const u32 pairs[2] = {value_pair(0, i / VALUE, i % VALUE), value_pair(2, i / VALUE, i % VALUE)};
            if constexpr (IS_BYTES) {
                float part[4] = {0, 0, 0, 0};
                mma_16x8x16<T>(part, weights, pairs);
#pragma unroll
                for (i32 j = 0; j < 4; j++) sums[i][j] = fmaf(part[j], factor, sums[i][j]);
            } else {
                mma_16x8x16<T>(sums[i], weights, pairs);
            }
        }
    }

    /// The same where some query has a limit among the positions from `first` on.
    DEVICE void multiply_to_limits(const u32 (&weights)[4], float factor, i32 first, const row_limits &limits) {
        const i32 own[2] = {limits.of(lane() / 4), limits.of(lane() / 4 + 8)};
        for (i32 limit = limits.lowest; limit <= limits.last; limit++) {
#pragma unroll
            for (i32 i = 0; i < VALUE_LOADS * VALUE; i++) {
                const u32 pairs[2] = {value_pair(0, i / VALUE, i % VALUE), value_pair(2, i / VALUE, i % VALUE)};
                add_to_limit<T>(sums[i], weights, pairs, factor, first, limit, own);
            }
        }
    }

    /// Adds runs first, first + step, ... to the one that holds position limits.last. Rows: cache_rows.cuh.
    template <class Rows>
    DEVICE void attend(const Rows &rows, i32 first, i32 step, float scale, const row_limits &limits) {
        const i32 end = limits.last / RUN + 1;
        if (first < end) load_keys(rows, first * RUN, limits.last);
        for (i32 run = first; run < end; run += step) {
            load_values(rows, run * RUN, limits.last);
            float scores[2][4] = {};
            score(scores);
            if (run + step < end) load_keys(rows, (run + step) * RUN, limits.last);
            if (run * RUN + RUN - 1 > limits.lowest) hide_past(scores, run * RUN, limits, lane() / 4);
            float rescale[2], factor = 1;
            if (softmax.weigh(scores, scale, rescale)) {
#pragma unroll
                for (i32 i = 0; i < D / 8; i++) {
#pragma unroll
                    for (i32 j = 0; j < 4; j++) sums[i][j] *= rescale[j / 2];
                }
            }
            if constexpr (IS_BYTES) factor = scale_weights(scores, run * RUN, limits);
            u32 weights[4];
            narrow_weights<T>(scores[0], scores[1], weights);
            if (limits.reach(run * RUN + RUN - 1)) {
                multiply(weights, factor);
            } else {
                multiply_to_limits(weights, factor, run * RUN, limits);
            }
        }
        softmax.finish();
    }

    /// Joins what the warps have of each query, in their order: sums [16][D], maxima and totals [16] in shared memory.
    DEVICE void join(float (*joined)[D], float *maxima, float *totals) {
        SHARED(float, each_maximum, [WARPS][QUERIES]);
        SHARED(float, each_total, [WARPS][QUERIES]);
        const i32 query = lane() / 4;
        if (lane() % 4 == 0) {
            for (i32 half = 0; half < 2; half++) {
                each_maximum[warp()][query + 8 * half] = softmax.maxima[half];
                each_total[warp()][query + 8 * half] = softmax.totals[half];
            }
        }
        sync_block();
        float factors[2];
        for (i32 half = 0; half < 2; half++) {
            const i32 row = query + 8 * half;
            float highest = each_maximum[0][row], total = 0;
            for (i32 w = 1; w < WARPS; w++) highest = fmaxf(highest, each_maximum[w][row]);
            const float base = highest == minus_infinity() ? 0 : highest;
            for (i32 w = 0; w < WARPS; w++) {
                total = fmaf(each_total[w][row], power_of_two(each_maximum[w][row] - base), total);
            }
            factors[half] = power_of_two(softmax.maxima[half] - base);
            if (warp() == 0 && lane() % 4 == 0) {
                maxima[row] = highest;
                totals[row] = total;
            }
        }
        for (i32 w = 0; w < WARPS; w++) {
            if (warp() == w) add_to(joined, factors, w == 0);
            sync_block();
        }
    }

    /// joined (+)= this warp's sums times the factors of its rows.
    DEVICE void add_to(float (*joined)[D], const float factors[2], bool is_first) const {
#pragma unroll
        for (i32 i = 0; i < D / 8; i++) {
#pragma unroll
            for (i32 j = 0; j < 4; j++) {
                const i32 column = lane() % 4 * 2 + j % 2;
                float &place = joined[lane() / 4 + j / 2 * 8][(8 * (i / VALUE) + column) * VALUE + i % VALUE];
                place = fmaf(sums[i][j], factors[j / 2], is_first ? 0 : place);
            }
        }
    }
};

#endif
