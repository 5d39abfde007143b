#include "../../../Sources/CCUDA/kernels/products_k.cu"
