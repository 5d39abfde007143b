/// Positions of patches, eight dimensions at a time.
#include "../kernels.h"
#include "../scalar/taps.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

void martlet_add_positions_avx2(
    const martlet_position_grid *grid, size_t first, size_t count, float *x, size_t stride) {
    for (size_t index = first; index < first + count; index++, x += stride) {
        const martlet_taps taps = martlet_taps_at(grid, index);
        size_t i = 0;
        for (; i + 8 <= grid->width; i += 8) {
            __m256 total = _mm256_setzero_ps();
            for (size_t r = 0; r < 4; r++) {
                __m256 line = _mm256_setzero_ps();
                for (size_t c = 0; c < 4; c++) {
                    const __m256 value = _mm256_loadu_ps(taps.sample[r][c] + i);
                    line = _mm256_add_ps(line, _mm256_mul_ps(_mm256_set1_ps(taps.across[c]), value));
                }
                total = _mm256_add_ps(total, _mm256_mul_ps(_mm256_set1_ps(taps.down[r]), line));
            }
            _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), total));
        }
        for (; i < grid->width; i++) x[i] += martlet_interpolate(&taps, i);
    }
}

#pragma clang attribute pop
#endif
