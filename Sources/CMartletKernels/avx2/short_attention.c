/// Attention of bf16: wide/short_attention.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "softmax.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#include "../wide/pairs.h"

#define MARTLET_SET(name) martlet_##name##_avx2
// Queries and panels of sixteen in registers at once: 3 x 2 sums of two registers each.
#define MARTLET_BLOCK 3
#define MARTLET_PANELS 2
#include "../wide/short_attention.h"

#pragma clang attribute pop
#endif
