/// Products of bf16 by fused multiply-adds: wide/bf16.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "lanes.h"

#pragma clang attribute push(__attribute__((target(MARTLET_TARGET))), apply_to = function)

#include "../wide/pairs.h"

#define MARTLET_SET(name) martlet_##name##_avx2
#define MARTLET_BLOCK 6
#define MARTLET_PANELS 1
#include "../wide/bf16.h"

#pragma clang attribute pop
#endif
