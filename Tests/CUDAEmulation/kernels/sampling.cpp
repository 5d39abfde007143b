#include "../../../Sources/CCUDA/kernels/sampling.cu"
