#include "../../../Sources/CCUDA/kernels/attention_plain.cu"
