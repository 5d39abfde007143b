// The kernels' sources, carried in the program: they are compiled for the GPU that is found.
#pragma clang diagnostic ignored "-Wc23-extensions"
#include "CCUDA.h"

static const char device_cuh[] = {
#embed "kernels/device.cuh"
    , 0};
static const char device_ptx_cuh[] = {
#embed "kernels/device_ptx.cuh"
    , 0};

static const martlet_cuda_source sources[] = {
    {"device.cuh", device_cuh},
    {"device_ptx.cuh", device_ptx_cuh},
};

const martlet_cuda_source *martlet_cuda_sources(size_t *count) {
    *count = sizeof sources / sizeof *sources;
    return sources;
}
