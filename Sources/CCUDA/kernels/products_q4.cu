// Products with weights of 4 bits.
#include "products.cuh"

QUANTIZED_PRODUCTS(q4_0)
QUANTIZED_PRODUCTS(q4_1)
