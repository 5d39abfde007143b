// Products with plain weights; those with quantised ones stand in products_*.cu, to be compiled side by side.
#include "products.cuh"

PRODUCTS(f16, f16)
PRODUCTS(bf16, bf16)
PLAIN_PRODUCT(f16, f16)
PLAIN_PRODUCT(bf16, bf16)
PLAIN_PRODUCT(f32, f32)
PLAIN_PRODUCT(f16, f32)
PLAIN_PRODUCT(bf16, f32)
DEQUANTIZATION(f16, f32)
DEQUANTIZATION(bf16, f32)
