// The driver: modules, and the launch of kernels.
#include <cstring>

#include "image.h"
#include "kernel_call.h"
#include "machine.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

CUresult cuModuleLoadData(CUmodule *module, const void *bytes) {
    device *device = here().current_device();
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    image image;
    if (!read_image(static_cast<const char *>(bytes), image)) return CUDA_ERROR_INVALID_IMAGE;
    if (image.architecture != here().options.architecture) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    *module = here().modules.make({device->context.device, image.file});
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module) {
    return here().modules.destroy(module) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    if (!here().modules.has(module)) return CUDA_ERROR_INVALID_HANDLE;
    const kernel *kernel = find_kernel(module->file, name);
    if (!kernel) return CUDA_ERROR_NOT_FOUND;
    *function = here().functions.make({module->device, module, kernel, 48 << 10});
    return CUDA_SUCCESS;
}

/// A function is there as long as its module.
static bool has(CUfunction function) { return here().functions.has(function) && here().modules.has(function->module); }

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
    if (!has(function)) return CUDA_ERROR_INVALID_HANDLE;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = int(function->kernel->most_threads); break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = function->most_dynamic_shared; break;
    default: *value = 0;
    }
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    if (!has(function)) return CUDA_ERROR_INVALID_HANDLE;
    int most = 0;
    cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, function->device);
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > most) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    function->most_dynamic_shared = value;
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int threads, size_t shared) {
    if (!has(function)) return CUDA_ERROR_INVALID_HANDLE;
    int most_shared = 0;
    cuDeviceGetAttribute(&most_shared, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, function->device);
    if (threads <= 0 || threads > int(function->kernel->most_threads)) return CUDA_ERROR_INVALID_VALUE;
    // A kibibyte of shared memory goes to the system for each block.
    *blocks = std::min(1536 / threads, most_shared / int(shared + 1024));
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned dynamic_shared, CUstream stream,
                        void **parameters, void **extra) {
    if (!has(function) || !here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    device *device = here().current_device();
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;
    if (function->device != stream->device || stream->device != device->context.device) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    const auto fits = [](unsigned size, unsigned most) { return size > 0 && size <= most; };
    const bool is_grid = fits(grid_x, 0x7fffffff) && fits(grid_y, 65535) && fits(grid_z, 65535);
    const bool is_block = fits(block_x, function->kernel->most_threads) && block_y == 1 && block_z == 1;
    if (!is_grid || !is_block || int(dynamic_shared) > function->most_dynamic_shared || extra) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    kernel_call call{function->kernel, stream->device, {grid_x, grid_y, grid_z}, block_x, dynamic_shared,
              size_t(std::max(function->most_dynamic_shared, 48 << 10)), {}};
    for (size_t index = 0; index < function->kernel->parameter_sizes.size(); index++) {
        const char *argument = static_cast<const char *>(parameters[index]);
        call.arguments.emplace_back(argument, argument + function->kernel->parameter_sizes[index]);
    }
    return here().put(stream, {operation::compute, std::move(call)});
}

}  // namespace emulation::emulated
