/// Streaming softmax: wide/attention.h.
#include "../kernels.h"

#if defined(__aarch64__)
#include "eights.h"
#include "lanes.h"

#pragma STDC FP_CONTRACT OFF

#define MARTLET_SET(name) martlet_##name##_neon
#define MARTLET_WIDEN martlet_widen_neon
#define MARTLET_PARTS 1
#include "../wide/attention.h"
#endif
