/// Rotary embedding eight dimensions at a time, and keys and values on their way into the cache.
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

static void rotate_pair(float *first, float *second, float cosine, float sine) {
    const float a = *first;
    const float b = *second;
    *first = a * cosine - b * sine;
    *second = b * cosine + a * sine;
}

/// Pairs (j, j + pairs).
static void rotate_halves(float *head, const float *table, size_t pairs) {
    size_t j = 0;
    for (; j + 8 <= pairs; j += 8) {
        const __m256 cosine = _mm256_loadu_ps(table + j);
        const __m256 sine = _mm256_loadu_ps(table + pairs + j);
        const __m256 a = _mm256_loadu_ps(head + j);
        const __m256 b = _mm256_loadu_ps(head + pairs + j);
        _mm256_storeu_ps(head + j, _mm256_sub_ps(_mm256_mul_ps(a, cosine), _mm256_mul_ps(b, sine)));
        _mm256_storeu_ps(head + pairs + j, _mm256_add_ps(_mm256_mul_ps(b, cosine), _mm256_mul_ps(a, sine)));
    }
    for (; j < pairs; j++) rotate_pair(head + j, head + pairs + j, table[j], table[pairs + j]);
}

/// Pairs (2j, 2j + 1).
static void rotate_neighbours(float *head, const float *table, size_t pairs) {
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    size_t j = 0;
    for (; j + 4 <= pairs; j += 4) {
        const __m256 cosine = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(table + j)), twice);
        const __m256 sine = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(table + pairs + j)), twice);
        const __m256 x = _mm256_loadu_ps(head + 2 * j);
        const __m256 swapped = _mm256_permute_ps(x, 0xB1);
        // Subtracts in even lanes, adds in odd ones.
        _mm256_storeu_ps(head + 2 * j, _mm256_addsub_ps(_mm256_mul_ps(x, cosine), _mm256_mul_ps(swapped, sine)));
    }
    for (; j < pairs; j++) rotate_pair(head + 2 * j, head + 2 * j + 1, table[j], table[pairs + j]);
}

void martlet_rotate_avx2(
    float *x, size_t stride, size_t heads, size_t dimension, const float *table, size_t table_stride, size_t pairs,
    bool interleaved, size_t rows) {
    for (size_t row = 0; row < rows; row++, x += stride, table += table_stride) {
        for (size_t head = 0; head < heads; head++) {
            if (interleaved) {
                rotate_neighbours(x + head * dimension, table, pairs);
            } else {
                rotate_halves(x + head * dimension, table, pairs);
            }
        }
    }
}

void martlet_store_avx2(martlet_dtype dtype, const float *x, void *y, size_t stride, size_t count) {
    if (stride == 1) {
        martlet_narrow_avx2(dtype, x, y, count);
    } else if (dtype == MARTLET_F32) {
        for (size_t i = 0; i < count; i++) ((float *)y)[i * stride] = x[i];
    } else {
        enum { ROOM = 128 };
        uint16_t halves[ROOM];
        for (size_t first = 0; first < count; first += ROOM) {
            const size_t some = count - first < ROOM ? count - first : ROOM;
            martlet_narrow_avx2(dtype, x + first, halves, some);
            for (size_t i = 0; i < some; i++) ((uint16_t *)y)[(first + i) * stride] = halves[i];
        }
    }
}

#pragma clang attribute pop
#endif
