// The driver: streams and events.
#include "machine.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

static CUresult break_capture(capture &capture) {
    capture.is_broken = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    device *device = here().current_device();
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;
    if (flags & ~unsigned(CU_STREAM_NON_BLOCKING)) return CUDA_ERROR_INVALID_VALUE;
    *stream = here().streams.make({device->context.device, {}, nullptr, {}});
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return break_capture(*stream->capture);
    // Its work would go on without it; here it is done by now.
    const CUresult result = here().finish(stream);
    here().streams.destroy(stream);
    return result;
}

CUresult cuStreamSynchronize(CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return break_capture(*stream->capture);
    return here().finish(stream);
}

CUresult cuStreamQuery(CUstream stream) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return break_capture(*stream->capture);
    if (stream->queue.empty()) return here().of(*stream).context.lost;
    here().work_anywhere();
    return CUDA_ERROR_NOT_READY;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    if (!here().streams.has(stream) || !here().events.has(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    if (event->capture) {
        if (stream->capture && stream->capture != event->capture) {
            stream->capture->is_broken = event->capture->is_broken = true;
            return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
        }
        if (!stream->capture) {
            stream->capture = event->capture;
            stream->capture->members.push_back(stream);
        }
        stream->frontier.insert(stream->frontier.end(), event->frontier.begin(), event->frontier.end());
        return CUDA_SUCCESS;
    }
    if (stream->capture) {
        stream->capture->is_broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    if (event->recorded == 0) return CUDA_SUCCESS;
    return here().put(stream, {operation::wait, nullptr, event, event->recorded});
}

CUresult cuEventCreate(CUevent *event, unsigned flags) {
    device *device = here().current_device();
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;
    if (flags & ~unsigned(CU_EVENT_DISABLE_TIMING)) return CUDA_ERROR_INVALID_VALUE;
    CUevent_st made{};
    made.device = device->context.device;
    made.is_timed = !(flags & CU_EVENT_DISABLE_TIMING);
    *event = here().events.make(std::move(made));
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    if (!here().streams.has(stream) || !here().events.has(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (event->device != stream->device) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) {
        event->capture = stream->capture;
        event->frontier = stream->frontier;
        return CUDA_SUCCESS;
    }
    event->capture = nullptr;
    event->recorded++;
    event->streams.erase(event->streams.begin(), event->streams.upper_bound(event->reached));
    event->streams[event->recorded] = stream;
    return here().put(stream, {operation::record, nullptr, event, event->recorded});
}

CUresult cuEventQuery(CUevent event) {
    if (!here().events.has(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) return break_capture(*event->capture);
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (event->reached >= event->recorded) return CUDA_SUCCESS;
    here().work_anywhere();
    return CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent event) {
    if (!here().events.has(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) return break_capture(*event->capture);
    const uint64_t recording = event->recorded;
    if (event->reached >= recording) return here().devices[size_t(event->device)]->context.lost;
    return here().work_until(event->streams[recording], [=] { return event->reached >= recording; });
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    if (!here().events.has(start) || !here().events.has(end)) return CUDA_ERROR_INVALID_HANDLE;
    if (!start->is_timed || !end->is_timed || start->recorded == 0 || end->recorded == 0) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (start->reached < start->recorded || end->reached < end->recorded) return CUDA_ERROR_NOT_READY;
    *milliseconds = float((end->reached_at - start->reached_at) * 1000);
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event) {
    return here().events.destroy(event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

}  // namespace emulation::emulated
