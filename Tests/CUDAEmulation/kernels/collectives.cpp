#include "../../../Sources/CCUDA/kernels/collectives.cu"
