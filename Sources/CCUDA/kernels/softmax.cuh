// Streaming softmax over scores that lie in the fragments of mma_16x8x16.
#ifndef MARTLET_SOFTMAX_CUH
#define MARTLET_SOFTMAX_CUH

#include "device.cuh"

const float log2_of_e = 1.44269504f;
DEVICE float minus_infinity() { return float_of(0xff800000); }

/// How far the queries of rows g and g + 8 of a fragment are.
struct softmax_state {
    /// The greatest score so far, in powers of two.
    float maxima[2];
    /// Sums of weights, of this lane's columns only until `finish`.
    float totals[2];

    DEVICE void begin() {
        for (i32 half = 0; half < 2; half++) {
            maxima[half] = minus_infinity();
            totals[half] = 0;
        }
    }

    /// Makes weights of scores; `scale` turns them into powers of two. True if an earlier weight of the warp changes:
    /// then all of a row's have to be multiplied by its `rescale`.
    template <i32 COUNT> DEVICE bool weigh(float (&scores)[COUNT][4], float scale, float rescale[2]) {
        bool has_grown = false;
#pragma unroll
        for (i32 half = 0; half < 2; half++) {
            float highest = minus_infinity();
#pragma unroll
            for (i32 i = 0; i < COUNT; i++) {
                highest = fmaxf(highest, fmaxf(scores[i][2 * half], scores[i][2 * half + 1]));
            }
            highest = fmaxf(highest, shuffle_xor(highest, 1));
            highest = fmaxf(highest, shuffle_xor(highest, 2));
            const float maximum = fmaxf(maxima[half], highest * scale);
            has_grown |= maximum > maxima[half];
            // Before the first score that counts there is nothing to be relative to.
            const float base = maximum == minus_infinity() ? 0 : maximum;
            rescale[half] = power_of_two(maxima[half] - base);
            maxima[half] = maximum;
            float total = 0;
#pragma unroll
            for (i32 i = 0; i < COUNT; i++) {
#pragma unroll
                for (i32 j = 2 * half; j < 2 * half + 2; j++) {
                    scores[i][j] = power_of_two(fmaf(scores[i][j], scale, -base));
                    total += scores[i][j];
                }
            }
            totals[half] = fmaf(totals[half], rescale[half], total);
        }
        return ballot(has_grown) != 0;
    }

    /// Joins the sums of the four lanes of a row.
    DEVICE void finish() {
#pragma unroll
        for (i32 half = 0; half < 2; half++) {
            totals[half] += shuffle_xor(totals[half], 1);
            totals[half] += shuffle_xor(totals[half], 2);
        }
    }
};

/// Hides scores of positions past the limits of a lane's two queries, `query` and the eighth after it. Column n of
/// fragment i is position first + 8 * i + n.
template <i32 COUNT, class Limits>
DEVICE void hide_past(float (&scores)[COUNT][4], i32 first, const Limits &limits, i32 query) {
    const i32 own[2] = {limits.of(query), limits.of(query + 8)};
#pragma unroll
    for (i32 i = 0; i < COUNT; i++) {
#pragma unroll
        for (i32 j = 0; j < 4; j++) {
            const i32 position = first + 8 * i + lane() % 4 * 2 + j % 2;
            if (position > own[j / 2]) scores[i][j] = minus_infinity();
        }
    }
}

/// The weights of 16 positions, in the fragments of scores a and b, as the left factor of a product.
template <class T> DEVICE void narrow_weights(const float a[4], const float b[4], u32 weights[4]) {
    weights[0] = narrow2<T>(a[0], a[1]);
    weights[1] = narrow2<T>(a[2], a[3]);
    weights[2] = narrow2<T>(b[0], b[1]);
    weights[3] = narrow2<T>(b[2], b[3]);
}

/// The pair of values of two neighbouring positions, those past `limit` zero.
DEVICE u32 values_to(u32 pair, i32 position, i32 limit) {
    return pair & ((position <= limit ? 0xffff : 0) | (position < limit ? 0xffff0000 : 0));
}

/// sums += weights values * factor, only for those of a lane's two queries whose limit is `limit`; values: of 16
/// positions from `first` on. A value past a limit has weight 0, but were it not finite, the product would be NaN: so
/// there is one product for each limit.
template <class T>
DEVICE void add_to_limit(
    float sums[4], const u32 weights[4], const u32 values[2], float factor, i32 first, i32 limit, const i32 own[2]) {
    const i32 position = first + lane() % 4 * 2;
    const u32 kept[2] = {values_to(values[0], position, limit), values_to(values[1], position + 8, limit)};
    float part[4] = {0, 0, 0, 0};
    mma_16x8x16<T>(part, weights, kept);
#pragma unroll
    for (i32 j = 0; j < 4; j++) {
        if (own[j / 2] == limit) sums[j] = fmaf(part[j], factor, sums[j]);
    }
}

#endif
