// The driver: memory of devices, pinned memory of the host, copies.
#include <cstring>

#include "machine.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

static uint64_t address_of(const void *pointer) { return reinterpret_cast<uint64_t>(pointer); }

CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes) {
    device *device = here().current_device();
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    *address = device->memory.allocate(bytes);
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemFree(CUdeviceptr address) {
    if (!here().current_device()) return CUDA_ERROR_INVALID_CONTEXT;
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    for (const auto &device : here().devices) {
        if (!device->memory.spans(address)) continue;
        if (!device->memory.is_intact()) here().complain("memory was written beside an allocation");
        return device->memory.free(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetInfo(size_t *free, size_t *total) {
    device *device = here().current_device();
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;
    *total = device->memory.total;
    *free = device->memory.total - device->memory.used;
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **start, size_t bytes, unsigned flags) {
    if (!here().current_device()) return CUDA_ERROR_INVALID_CONTEXT;
    if (flags & ~unsigned(CU_MEMHOSTALLOC_PORTABLE) || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    *start = reinterpret_cast<void *>(here().pinned.allocate(bytes));
    return *start ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemFreeHost(void *start) {
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return here().pinned.free(address_of(start)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/// Copies when its turn comes. Both sides must still be there.
static CUresult put_copy(CUstream stream, uint64_t target, uint64_t source, size_t bytes) {
    operation work{operation::compute, [=] {
                       const auto is_there = [=](uint64_t address) {
                           return here().is_device_memory(address, bytes) || here().is_pinned(address, bytes);
                       };
                       if (!is_there(target) || !is_there(source)) {
                           here().complain("a copy from or to memory that was freed");
                           return CUDA_ERROR_ILLEGAL_ADDRESS;
                       }
                       memmove(reinterpret_cast<void *>(target), reinterpret_cast<void *>(source), bytes);
                       return CUDA_SUCCESS;
                   }};
    return here().put(stream, std::move(work));
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr target, const void *source, size_t bytes, CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (!here().is_device_memory(target, bytes)) return CUDA_ERROR_INVALID_VALUE;
    if (here().is_pinned(address_of(source), bytes)) return put_copy(stream, target, address_of(source), bytes);
    if (here().pinned.spans(address_of(source))) return CUDA_ERROR_INVALID_VALUE;
    if (stream->capture) {
        stream->capture->is_broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    // Memory that is not pinned is read before the call returns.
    const auto start = static_cast<const char *>(source);
    operation work{operation::compute, [target, copied = std::vector<char>(start, start + bytes)] {
                       if (!here().is_device_memory(target, copied.size())) return CUDA_ERROR_ILLEGAL_ADDRESS;
                       memcpy(reinterpret_cast<void *>(target), copied.data(), copied.size());
                       return CUDA_SUCCESS;
                   }};
    return here().put(stream, std::move(work));
}

CUresult cuMemcpyDtoHAsync(void *target, CUdeviceptr source, size_t bytes, CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (!here().is_device_memory(source, bytes)) return CUDA_ERROR_INVALID_VALUE;
    if (here().is_pinned(address_of(target), bytes)) return put_copy(stream, address_of(target), source, bytes);
    if (here().pinned.spans(address_of(target))) return CUDA_ERROR_INVALID_VALUE;
    if (stream->capture) {
        stream->capture->is_broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    // To memory that is not pinned, the call returns when the bytes are there.
    const CUresult result = here().finish(stream);
    if (result != CUDA_SUCCESS) return result;
    memcpy(target, reinterpret_cast<void *>(source), bytes);
    return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (!here().is_device_memory(target, bytes) || !here().is_device_memory(source, bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return put_copy(stream, target, source, bytes);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr target, CUcontext target_context, CUdeviceptr source, CUcontext source_context,
                           size_t bytes, CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (target_context->retained == 0 || source_context->retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
    const guarded_memory &targets = here().devices[size_t(target_context->device)]->memory;
    const guarded_memory &sources = here().devices[size_t(source_context->device)]->memory;
    if (!targets.holds(target, bytes) || !sources.holds(source, bytes)) return CUDA_ERROR_INVALID_VALUE;
    return put_copy(stream, target, source, bytes);
}

template <class Value> static CUresult put_fill(CUdeviceptr target, Value value, size_t count, CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (!here().is_device_memory(target, count * sizeof value) || target % sizeof value) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    operation work{operation::compute, [=] {
                       if (!here().is_device_memory(target, count * sizeof value)) return CUDA_ERROR_ILLEGAL_ADDRESS;
                       for (size_t index = 0; index < count; index++) reinterpret_cast<Value *>(target)[index] = value;
                       return CUDA_SUCCESS;
                   }};
    return here().put(stream, std::move(work));
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t count, CUstream stream) {
    return put_fill(target, value, count, stream);
}

CUresult cuMemsetD32Async(CUdeviceptr target, unsigned value, size_t count, CUstream stream) {
    return put_fill(target, value, count, stream);
}

}  // namespace emulation::emulated
