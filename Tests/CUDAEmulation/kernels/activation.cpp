#include "../../../Sources/CCUDA/kernels/activation.cu"
