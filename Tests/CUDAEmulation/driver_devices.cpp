// The driver: devices, contexts and words for errors.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "machine.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

static bool has_device(CUdevice device) { return device >= 0 && size_t(device) < here().devices.size(); }

CUresult cuInit(unsigned flags) {
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    here().is_initialized = true;
    return here().devices.empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    *version = here().options.driver_version;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **name) {
    static const struct {
        CUresult error;
        const char *name;
    } names[] = {
        {CUDA_SUCCESS, "CUDA_SUCCESS"},
        {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
        {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
        {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"},
        {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
        {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"},
        {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
        {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
        {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
        {CUDA_ERROR_ECC_UNCORRECTABLE, "CUDA_ERROR_ECC_UNCORRECTABLE"},
        {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
        {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
        {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY"},
        {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
        {CUresult(702), "CUDA_ERROR_LAUNCH_TIMEOUT"},
        {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
        {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"},
    };
    for (const auto &each : names) {
        if (each.error != error) continue;
        *name = each.name;
        return CUDA_SUCCESS;
    }
    *name = nullptr;
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) { return cuGetErrorName(error, text); }

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    if (!here().is_initialized) return CUDA_ERROR_NOT_INITIALIZED;
    if (!has_device(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
    if (!here().is_initialized) return CUDA_ERROR_NOT_INITIALIZED;
    *count = int(here().devices.size());
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int capacity, CUdevice device) {
    if (!has_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    snprintf(name, size_t(capacity), "Emulated GPU %d", device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    if (!has_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    memset(uuid, 0, sizeof *uuid);
    uuid->bytes[15] = char(device + 1);
    return CUDA_SUCCESS;
}

/// Shared memory of a multiprocessor in KiB; a block can have all but one.
static int shared_kibibytes(int architecture) {
    switch (architecture) {
    case 80:
    case 87: return 164;
    case 86:
    case 89:
    case 120: return 100;
    default: return 228;
    }
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    if (!has_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    const int architecture = here().options.architecture;
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = here().options.multiprocessor_count; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = architecture / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = architecture % 10; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = shared_kibibytes(architecture) << 10; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
        *value = (shared_kibibytes(architecture) - 1) << 10;
        break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
    if (!has_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    *bytes = here().devices[size_t(device)]->memory.total;
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
    if (!has_device(device) || !has_device(peer)) return CUDA_ERROR_INVALID_DEVICE;
    *can = device != peer;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    if (!has_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    CUctx_st &primary = here().devices[size_t(device)]->context;
    primary.retained++;
    *context = &primary;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    if (!has_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    emulation::device &released = *here().devices[size_t(device)];
    if (released.context.retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (--released.context.retained == 0) here().end_context(released);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    if (context && context->retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
    here().set_current(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
    device *device = here().current_device();
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    for (CUstream stream : here().streams.all()) {
        if (stream->device != device->context.device) continue;
        const CUresult result = here().finish(stream);
        if (result != CUDA_SUCCESS) return result;
    }
    return device->context.lost;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
    device *device = here().current_device();
    if (!device || peer->retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (flags || peer == &device->context) return CUDA_ERROR_INVALID_VALUE;
    auto &peers = device->peers;
    if (std::find(peers.begin(), peers.end(), peer->device) != peers.end()) {
        return CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    }
    peers.push_back(peer->device);
    return CUDA_SUCCESS;
}

}  // namespace emulation::emulated
