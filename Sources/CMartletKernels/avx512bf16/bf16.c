/// Products of bf16 by the instruction for them: wide/bf16.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "../avx512/lanes.h"

#pragma clang attribute push(__attribute__((target(MARTLET_TARGET ",avx512bf16"))), apply_to = function)

#include "pairs.h"

#define MARTLET_SET(name) martlet_##name##_avx512bf16
// Rows of activations in registers at once: 12 x 2 sums, so that additions hide one another's latency.
#define MARTLET_BLOCK 12
#define MARTLET_PANELS 2
#include "../wide/bf16.h"

#pragma clang attribute pop
#endif
