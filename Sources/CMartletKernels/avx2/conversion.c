/// Plain types to f32 and back, eight at a time.
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

void martlet_widen_avx2(martlet_dtype dtype, const void *x, float *y, size_t count) {
    const size_t whole = dtype == MARTLET_F32 ? 0 : count / 8 * 8;
    const char *halves = x;
    for (size_t i = 0; i < whole; i += 8) {
        const __m128i h = _mm_loadu_si128((const __m128i *)(halves + 2 * i));
        const __m256 v = dtype == MARTLET_BF16
            ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16))
            : _mm256_cvtph_ps(h);
        _mm256_storeu_ps(y + i, v);
    }
    const size_t bytes = dtype == MARTLET_F32 ? 4 : 2;
    martlet_widen_scalar(dtype, halves + whole * bytes, y + whole, count - whole);
}

static inline __m128i bf16_of_f32(__m256 value) {
    const __m256i bits = _mm256_castps_si256(value), one = _mm256_set1_epi32(1);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i bias = _mm256_add_epi32(_mm256_and_si256(upper, one), _mm256_set1_epi32(0x7FFF));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
    // A NaN keeps the bits it has room for and becomes quiet.
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(rounded, quiet, is_nan);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
    return _mm256_castsi256_si128(packed);
}

bool martlet_narrow_avx2(martlet_dtype dtype, const float *x, void *y, size_t count) {
    const size_t whole = dtype == MARTLET_F32 ? 0 : count / 8 * 8;
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    const __m256 infinity = _mm256_set1_ps(__builtin_inff());
    const __m128i half_infinity = _mm_set1_epi16(dtype == MARTLET_BF16 ? 0x7F80 : 0x7C00);
    const __m128i half_magnitude = _mm_set1_epi16(0x7FFF);
    int grown = 0;
    char *halves = y;
    for (size_t i = 0; i < whole; i += 8) {
        const __m256 v = _mm256_loadu_ps(x + i);
        const __m128i h = dtype == MARTLET_BF16 ? bf16_of_f32(v) : _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(halves + 2 * i), h);
        const int were = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_and_ps(v, magnitude), infinity, _CMP_EQ_OQ));
        const __m128i are = _mm_cmpeq_epi16(_mm_and_si128(h, half_magnitude), half_infinity);
        grown |= _mm_movemask_epi8(_mm_packs_epi16(are, _mm_setzero_si128())) & ~were;
    }
    const size_t bytes = dtype == MARTLET_F32 ? 4 : 2;
    const bool rest = martlet_narrow_scalar(dtype, x + whole, halves + whole * bytes, count - whole);
    return rest && grown == 0;
}

void martlet_pack_tile_avx2(
    const float *keys, const float *values, size_t stride, size_t count, size_t dimension, uint16_t *tile) {
    martlet_pack_tile_by(martlet_narrow_avx2, keys, values, stride, count, dimension, tile);
}

#pragma clang attribute pop
#endif
