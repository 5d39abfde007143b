// Products with weights of 5 bits.
#include "products.cuh"

QUANTIZED_PRODUCTS(q5_0)
QUANTIZED_PRODUCTS(q5_1)
