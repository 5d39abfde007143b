int martlet_kernels_unused;
