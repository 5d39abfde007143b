// The driver: captures and graphs.
#include <algorithm>

#include "machine.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return CUDA_ERROR_INVALID_VALUE;
    stream->capture = std::make_shared<capture>(
        capture{stream, mode, std::this_thread::get_id(), {stream}, {}, false});
    stream->frontier.clear();
    here().captures.push_back(stream->capture);
    return CUDA_SUCCESS;
}

/// Whether everything comes before the end of the stream that the capture began on.
static bool is_joined(const capture &capture) {
    std::vector<bool> is_before(capture.nodes.size());
    for (size_t node : capture.origin->frontier) is_before[node] = true;
    for (size_t node = capture.nodes.size(); node-- > 0;) {
        if (!is_before[node]) return false;
        for (size_t earlier : capture.nodes[node].after) is_before[earlier] = true;
    }
    return true;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    *graph = nullptr;
    if (!here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    const std::shared_ptr<capture> capture = stream->capture;
    if (!capture) return CUDA_ERROR_INVALID_VALUE;
    if (capture->origin != stream) return CUresult(903);
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id()) {
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    }
    const bool is_whole = capture->is_broken || is_joined(*capture);
    for (CUstream member : capture->members) {
        member->capture = nullptr;
        member->frontier.clear();
    }
    auto &captures = here().captures;
    captures.erase(std::remove(captures.begin(), captures.end(), capture), captures.end());
    if (capture->is_broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!is_whole) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    *graph = here().graphs.make({stream->device, capture->nodes});
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
    if (!here().graphs.has(graph)) return CUDA_ERROR_INVALID_VALUE;
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    if (here().forbids_unsafe_call()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    *executable = here().executables.make({graph->device, graph->nodes});
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    if (!here().executables.has(executable) || !here().streams.has(stream)) return CUDA_ERROR_INVALID_HANDLE;
    if (executable->device != stream->device) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) {
        stream->capture->is_broken = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    here().put(stream, executable->nodes);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
    return here().executables.destroy(executable) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphDestroy(CUgraph graph) {
    return here().graphs.destroy(graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace emulation::emulated
