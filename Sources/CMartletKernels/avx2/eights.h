/// Eight numbers at a time: what wide/attention.h weighs scores and copies tiles with.
#ifndef MARTLET_AVX2_EIGHTS_H
#define MARTLET_AVX2_EIGHTS_H

#include <stddef.h>

#include "exponential.h"
#include "reduction.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"), always_inline)), apply_to = function)

typedef __m256 eight;

static inline eight load_8_f32(const void *p) { return _mm256_loadu_ps(p); }

static inline eight load_8_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }

static inline eight load_8_bf16(const void *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

/// Eight signed bytes.
static inline eight load_8_bytes(const void *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

static inline void store_8(float *p, eight x) { _mm256_storeu_ps(p, x); }

/// x in every lane.
static inline eight fill_8(float x) { return _mm256_set1_ps(x); }

static inline eight plus_8(eight a, eight b) { return _mm256_add_ps(a, b); }

static inline eight minus_8(eight a, eight b) { return _mm256_sub_ps(a, b); }

static inline eight times_8(eight a, eight b) { return _mm256_mul_ps(a, b); }

/// a * b + c, rounded once.
static inline eight times_plus_8(eight a, eight b, eight c) { return _mm256_fmadd_ps(a, b, c); }

/// a > b ? a : b, so that a NaN gives b.
static inline eight greater_8(eight a, eight b) { return _mm256_max_ps(a, b); }

/// The first `count` lanes of x, the others of `rest`; a count may be negative or above 8.
static inline eight first_8(int count, eight x, eight rest) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i in = _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes);
    return _mm256_blendv_ps(rest, x, _mm256_castsi256_ps(in));
}

/// y[column][row] = x[row][column] of 8 x 8.
static inline void transpose_8(const float *x, size_t x_stride, float *y, size_t y_stride) {
    __m256 a[8], b[8];
    for (size_t i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(x + i * x_stride);
    for (size_t i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) {
        a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xEE);
        a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xEE);
    }
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(y + i * y_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
        _mm256_storeu_ps(y + (i + 4) * y_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
    }
}

#pragma clang attribute pop

#endif
