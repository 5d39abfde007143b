/// Attention of bf16: wide/short_attention.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "softmax.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#include "../wide/pairs.h"

#define MARTLET_SET(name) martlet_##name##_avx512
// Queries and panels of sixteen in registers at once: 6 x 4 sums.
#define MARTLET_BLOCK 6
#define MARTLET_PANELS 4
#include "../wide/short_attention.h"

#pragma clang attribute pop
#endif
