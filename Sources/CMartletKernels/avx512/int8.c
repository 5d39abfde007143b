/// Products of 8-bit activations with quantised weights: wide/int8.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "products.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_SET(name) martlet_##name##_avx512
// Rows of activations in registers at once: 8 integer sums and 8 totals, so that products hide one another's latency.
#define MARTLET_BLOCK 8
#include "../wide/int8.h"

#pragma clang attribute pop
#endif
