/// Products of one or two rows of activations: wide/gemv.h.
#include "../kernels.h"

#if defined(__x86_64__)
#include "lanes.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c"))), apply_to = function)

#define MARTLET_SET(name) martlet_##name##_avx512
#include "../wide/gemv.h"

#pragma clang attribute pop
#endif
