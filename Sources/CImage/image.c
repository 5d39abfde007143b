int martlet_cimage_unused;
