/// Products of three rows of activations and more: wide/gemm.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "lanes.h"

#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_SET(name) martlet_##name##_avx512
// Rows of activations in registers at once: 12 sums, so that additions hide one another's latency, and 1 weight.
#define MARTLET_BLOCK 12
#define MARTLET_PANELS 2
#include "../wide/gemm.h"

#pragma clang attribute pop
#endif
