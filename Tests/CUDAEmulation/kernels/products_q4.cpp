#include "../../../Sources/CCUDA/kernels/products_q4.cu"
