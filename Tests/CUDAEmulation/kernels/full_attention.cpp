#include "../../../Sources/CCUDA/kernels/full_attention.cu"
