// Products with weights of 8 bits.
#include "products.cuh"

QUANTIZED_PRODUCTS(q8_0)
