#include "../kernels.h"

const martlet_kernel_table martlet_table_scalar = {
    .name = "scalar",
    .widen = martlet_widen_scalar,
    .narrow = martlet_narrow_scalar,
};
