/// Streaming softmax: wide/attention.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "../avx2/eights.h"
#include "lanes.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#define MARTLET_SET(name) martlet_##name##_avx512
#define MARTLET_WIDEN martlet_widen_avx2
#define MARTLET_PARTS 2
#include "../wide/attention.h"

#pragma clang attribute pop
#endif
