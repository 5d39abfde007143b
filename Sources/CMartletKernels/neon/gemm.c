/// Products of three rows of activations and more: wide/gemm.h.
#include "../kernels.h"

#if defined(__aarch64__)
#include "lanes.h"

#pragma STDC FP_CONTRACT OFF

#define MARTLET_SET(name) martlet_##name##_neon
// Rows of activations in registers at once: 6 x 4 sums, 4 weights, 1 activation of 32 registers.
#define MARTLET_BLOCK 6
#define MARTLET_PANELS 1
#include "../wide/gemm.h"
#endif
