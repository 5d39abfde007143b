/// The passes of the sampler over the whole vocabulary, eight tokens at a time.
#include "../kernels.h"

#if defined(__x86_64__)
#include <math.h>

#include "exponential.h"
#include "reduction.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

bool martlet_maximum_avx2(const float *x, size_t count, float *maximum) {
    const size_t whole = count / 8 * 8;
    __m256 best = _mm256_set1_ps(-INFINITY);
    __m256 unordered = _mm256_setzero_ps();
    for (size_t i = 0; i < whole; i += 8) {
        const __m256 value = _mm256_loadu_ps(x + i);
        best = _mm256_max_ps(value, best);
        unordered = _mm256_or_ps(unordered, _mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    }
    float rest;
    const bool ordered = martlet_maximum_scalar(x + whole, count - whole, &rest);
    const float highest = martlet_maximum_of_8(best);
    *maximum = rest > highest ? rest : highest;
    return ordered && _mm256_movemask_ps(unordered) == 0;
}

size_t martlet_first_avx2(const float *x, size_t count, float value) {
    const size_t whole = count / 8 * 8;
    const __m256 wanted = _mm256_set1_ps(value);
    for (size_t i = 0; i < whole; i += 8) {
        const int equal = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + i), wanted, _CMP_EQ_OQ));
        if (equal) return i + (size_t)__builtin_ctz((unsigned)equal);
    }
    return whole + martlet_first_scalar(x + whole, count - whole, value);
}

/// Four numbers in 0 ... 1, in units of 2^-40.
static __m256i fixed_point(__m128 e) {
    const __m256d scaled = _mm256_mul_pd(_mm256_cvtps_pd(e), _mm256_set1_pd((double)martlet_weight_one));
    const __m256i bits = _mm256_castpd_si256(_mm256_add_pd(scaled, _mm256_set1_pd(0x1.8p52)));
    return _mm256_and_si256(bits, _mm256_set1_epi64x(0x3ffffffffffff));
}

uint64_t martlet_weigh_avx2(const float *x, size_t count, float maximum, float temperature, uint64_t *weights) {
    const size_t whole = count / 8 * 8;
    __m256i total = _mm256_setzero_si256();
    for (size_t i = 0; i < whole; i += 8) {
        const __m256 below = _mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(maximum));
        const __m256 e = martlet_exponential_8(_mm256_div_ps(below, _mm256_set1_ps(temperature)));
        const __m256i low = fixed_point(_mm256_castps256_ps128(e));
        const __m256i high = fixed_point(_mm256_extractf128_ps(e, 1));
        total = _mm256_add_epi64(total, _mm256_add_epi64(low, high));
        if (weights) {
            _mm256_storeu_si256((__m256i *)(weights + i), low);
            _mm256_storeu_si256((__m256i *)(weights + i + 4), high);
        }
    }
    uint64_t lanes[4];
    _mm256_storeu_si256((__m256i *)lanes, total);
    uint64_t *rest = weights ? weights + whole : NULL;
    return lanes[0] + lanes[1] + lanes[2] + lanes[3]
        + martlet_weigh_scalar(x + whole, count - whole, maximum, temperature, rest);
}

#pragma clang attribute pop
#endif
