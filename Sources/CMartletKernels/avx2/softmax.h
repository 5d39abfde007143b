/// What streaming softmax does with sixteen scores of a query: what wide/short_attention.h is written in.
#ifndef MARTLET_AVX2_SOFTMAX_H
#define MARTLET_AVX2_SOFTMAX_H

#include "eights.h"
#include "lanes.h"

#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

MARTLET_INLINE lanes exponential(lanes x) {
    return (lanes){martlet_exponential_8(x.low), martlet_exponential_8(x.high)};
}

/// The larger of each; b where one is NaN.
MARTLET_INLINE lanes larger(lanes a, lanes b) {
    return (lanes){greater_8(a.low, b.low), greater_8(a.high, b.high)};
}

/// The first `count` of v, behind them those of `rest`.
MARTLET_INLINE lanes first_of(lanes v, size_t count, lanes rest) {
    const int all = count < MARTLET_PANEL_ROWS ? (int)count : MARTLET_PANEL_ROWS;
    return (lanes){first_8(all, v.low, rest.low), first_8(all - 8, v.high, rest.high)};
}

MARTLET_INLINE float largest_of(lanes v) { return martlet_maximum_of_8(_mm256_max_ps(v.low, v.high)); }

/// By halves.
MARTLET_INLINE float sum_of(lanes v) { return martlet_sum_of_8(_mm256_add_ps(v.low, v.high)); }

static inline __m256 rounded_8(__m256 v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i last = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7FFF)));
    return _mm256_castsi256_ps(_mm256_and_si256(sum, _mm256_set1_epi32((int)0xFFFF0000)));
}

/// Rounds to the nearest bf16, ties to even; no NaN, nothing that becomes infinite.
MARTLET_INLINE lanes rounded_to_bf16(lanes v) { return (lanes){rounded_8(v.low), rounded_8(v.high)}; }

/// The upper halves of sixteen numbers: bf16, if they are such.
MARTLET_INLINE void store_bf16(uint16_t *p, lanes v) {
    const __m256i low = _mm256_srli_epi32(_mm256_castps_si256(v.low), 16);
    const __m256i high = _mm256_srli_epi32(_mm256_castps_si256(v.high), 16);
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xD8));
}

#pragma clang attribute pop

#endif
