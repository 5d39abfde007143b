#include "../../../Sources/CCUDA/kernels/conversion.cu"
