/// Panels to f32: wide/quantized.h.
#include "../kernels.h"

#if defined(__aarch64__)
#include "lanes.h"

#pragma STDC FP_CONTRACT OFF

#define MARTLET_SET(name) martlet_##name##_neon
#include "../wide/quantized.h"
#endif
