#include "../../../Sources/CCUDA/kernels/attention_bytes.cu"
