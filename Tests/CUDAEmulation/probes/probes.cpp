#include "probes.cu"
