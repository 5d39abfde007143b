#include "../../../Sources/CCUDA/kernels/vision.cu"
