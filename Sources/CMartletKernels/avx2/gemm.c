/// Products of three rows of activations and more: wide/gemm.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "lanes.h"

#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_SET(name) martlet_##name##_avx2
// Rows of activations in registers at once: 6 x 2 sums, 2 weights, 1 activation of 16 registers.
#define MARTLET_BLOCK 6
#define MARTLET_PANELS 1
#include "../wide/gemm.h"

void martlet_add_avx2(const float *y, float *x, size_t count) {
    const size_t whole = count / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    }
    martlet_add_scalar(y + whole, x + whole, count - whole);
}

#pragma clang attribute pop
#endif
