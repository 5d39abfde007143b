// SiLU, for the kernel of it alone and the one of the product before it.
#ifndef MARTLET_SILU_CUH
#define MARTLET_SILU_CUH

#include "device.cuh"

/// x / (1 + e^-x), with the CPU's bits.
DEVICE float silu(float x) { return x / (1.0f + exponential(-x)); }

#endif
