/// The tables and functions of every instruction set: <function>_<set>. Shapes and guarantees stand with the
/// function types in CMartletKernels.h.
#ifndef MARTLET_KERNELS_H
#define MARTLET_KERNELS_H

#include "CMartletKernels.h"

#pragma clang assume_nonnull begin

extern const martlet_kernel_table martlet_table_scalar;
martlet_widen_fn martlet_widen_scalar;
martlet_narrow_fn martlet_narrow_scalar;

#if defined(__x86_64__)
extern const martlet_kernel_table martlet_table_avx2;
martlet_widen_fn martlet_widen_avx2;
martlet_narrow_fn martlet_narrow_avx2;
#endif

#pragma clang assume_nonnull end

#endif
