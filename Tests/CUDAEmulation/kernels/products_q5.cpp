#include "../../../Sources/CCUDA/kernels/products_q5.cu"
