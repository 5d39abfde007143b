#include "../../../Sources/CCUDA/kernels/rows.cu"
