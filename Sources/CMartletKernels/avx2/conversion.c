/// Plain types to f32 and back, eight at a time.
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

void martlet_widen_avx2(martlet_dtype dtype, const void *x, float *y, size_t count) {
    const size_t whole = dtype == MARTLET_F32 ? 0 : count / 8 * 8;
    const uint16_t *halves = x;
    for (size_t i = 0; i < whole; i += 8) {
        const __m128i h = _mm_loadu_si128((const __m128i *)(halves + i));
        const __m256 v = dtype == MARTLET_BF16
            ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16))
            : _mm256_cvtph_ps(h);
        _mm256_storeu_ps(y + i, v);
    }
    const size_t bytes = dtype == MARTLET_F32 ? 4 : 2;
    martlet_widen_scalar(dtype, (const char *)x + whole * bytes, y + whole, count - whole);
}

bool martlet_narrow_avx2(martlet_dtype dtype, const float *x, void *y, size_t count) {
    return martlet_narrow_scalar(dtype, x, y, count);
}

#pragma clang attribute pop
#endif
