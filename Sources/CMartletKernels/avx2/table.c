#include "../kernels.h"

#if defined(__x86_64__)
const martlet_kernel_table martlet_table_avx2 = {
    .name = "avx2",
    .widen = martlet_widen_avx2,
    .narrow = martlet_narrow_avx2,
};
#endif
