/// Products of bf16 by fused multiply-adds: wide/bf16.h.
#include "../kernels.h"

#if defined(__aarch64__)
#include "lanes.h"

#pragma STDC FP_CONTRACT OFF

#include "../wide/pairs.h"

#define MARTLET_SET(name) martlet_##name##_neon
#define MARTLET_BLOCK 3
#define MARTLET_PANELS 1
#include "../wide/bf16.h"
#endif
