#include "../../../Sources/CCUDA/kernels/attention.cu"
