#include "../../../Sources/CCUDA/kernels/products_q8.cu"
