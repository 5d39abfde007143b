#include "../../../Sources/CCUDA/kernels/normalization.cu"
