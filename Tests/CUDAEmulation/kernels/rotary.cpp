#include "../../../Sources/CCUDA/kernels/rotary.cu"
