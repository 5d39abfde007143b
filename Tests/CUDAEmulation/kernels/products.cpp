#include "../../../Sources/CCUDA/kernels/products.cu"
