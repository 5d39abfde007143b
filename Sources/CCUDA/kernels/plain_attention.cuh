// Attention of one query in f32: for what tensor cores don't do, and the plain form of what they do.
#ifndef MARTLET_PLAIN_ATTENTION_CUH
#define MARTLET_PLAIN_ATTENTION_CUH

#include "softmax.cuh"

/// An element of a cache, of bytes without its scale.
template <class C> DEVICE float cached(C x) { return widen(x); }
template <> DEVICE float cached<i8>(i8 x) { return float(x); }

/// Streaming softmax over positions 0 ..< count of a head of any dimension to 256. Four warps take tiles of 32
/// positions in turn, of `splits` times as many those of this split. A score is one chain of fused multiply-adds over
/// (query * scale) times the key, times the key's scale where keys are bytes (their scales are null elsewhere). Calls
/// finish(d, sum, maximum, total) for every dimension: the sum of values by weight, the greatest score in powers of
/// two, the sum of weights.
template <class T, class C, class Rows, class Finish>
DEVICE void attend_plainly(
    const T *query, float scale, i32 dimension, const C *keys, const C *values, const float *key_scales,
    const float *value_scales, const Rows &rows, i32 count, i32 split, i32 splits, const Finish &finish) {
    constexpr i32 WARPS = 4, LARGEST = 256;
    SHARED(float, scaled, [LARGEST]);
    SHARED(float, parts, [WARPS][LARGEST]);
    SHARED(float, maxima, [WARPS]);
    SHARED(float, totals, [WARPS]);
    // Whoever still reads what an earlier query left.
    sync_block();
    for (i32 d = i32(threadIdx.x); d < dimension; d += 32 * WARPS) scaled[d] = widen(query[d]) * scale;
    sync_block();
    float highest = minus_infinity(), denominator = 0, sums[LARGEST / 32] = {};
    for (i32 first = 32 * (split * WARPS + warp()); first < count; first += 32 * WARPS * splits) {
        const i32 tile = min(32, count - first);
        float score = minus_infinity(), value_scale = 1;
        if (lane() < tile) {
            const C *const key = keys + rows.offset(first + lane());
            score = 0;
            for (i32 d = 0; d < dimension; d++) score = fmaf(scaled[d], cached(key[d]), score);
            if (key_scales) {
                score *= key_scales[rows.row(first + lane())];
                value_scale = value_scales[rows.row(first + lane())];
            }
        }
        const float maximum = fmaxf(highest, warp_max(score)), rescale = exponential(highest - maximum);
        highest = maximum;
        float weight = lane() < tile ? exponential(score - maximum) : 0;
        denominator = denominator * rescale + warp_sum(weight);
        weight *= value_scale;
        for (i32 i = 0; i < LARGEST / 32; i++) sums[i] *= rescale;
        for (i32 j = 0; j < tile; j++) {
            const C *const value = values + rows.offset(first + j);
            const float factor = shuffle(weight, j);
#pragma unroll
            for (i32 i = 0; i < LARGEST / 32; i++) {
                const i32 d = 32 * i + lane();
                if (d < dimension) sums[i] = fmaf(factor, cached(value[d]), sums[i]);
            }
        }
    }
#pragma unroll
    for (i32 i = 0; i < LARGEST / 32; i++) parts[warp()][32 * i + lane()] = sums[i];
    if (lane() == 0) {
        maxima[warp()] = highest;
        totals[warp()] = denominator;
    }
    sync_block();
    highest = fmaxf(fmaxf(maxima[0], maxima[1]), fmaxf(maxima[2], maxima[3]));
    float factors[WARPS], total = 0;
    for (i32 w = 0; w < WARPS; w++) {
        // A warp without a tile has nothing to add.
        factors[w] = totals[w] == 0 ? 0 : exponential(maxima[w] - highest);
        total = fmaf(totals[w], factors[w], total);
    }
    for (i32 d = i32(threadIdx.x); d < dimension; d += 32 * WARPS) {
        float sum = 0;
        for (i32 w = 0; w < WARPS; w++) sum = fmaf(parts[w][d], factors[w], sum);
        finish(d, sum, highest * log2_of_e, total);
    }
}

#endif
