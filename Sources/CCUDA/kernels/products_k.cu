// Products with weights of blocks of 256 columns.
#include "products.cuh"

QUANTIZED_PRODUCTS(q4_K)
QUANTIZED_PRODUCTS(q5_K)
QUANTIZED_PRODUCTS(q6_K)
