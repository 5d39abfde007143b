// How streams work: as late as they may, and in any order that they and their events allow.
#include <algorithm>
#include <chrono>

#include "exchange.h"
#include "machine.h"

namespace emulation {

using seconds = std::chrono::duration<double>;

CUresult machine::put(CUstream stream, operation work) {
    if (stream->capture) {
        if (stream->capture->is_broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        stream->capture->nodes.push_back({std::move(work), stream->frontier});
        stream->frontier = {stream->capture->nodes.size() - 1};
        return CUDA_SUCCESS;
    }
    if (work.join) work.exchange = work.join();
    stream->queue.push_back(std::move(work));
    changed.notify_all();
    return CUDA_SUCCESS;
}

void machine::put(CUstream stream, const std::vector<node> &nodes) {
    std::vector<bool> is_put(nodes.size());
    for (size_t count = 0; count < nodes.size(); count++) {
        std::vector<size_t> ready;
        for (size_t index = 0; index < nodes.size(); index++) {
            const auto &after = nodes[index].after;
            const bool is_ready = std::all_of(after.begin(), after.end(), [&](size_t other) { return is_put[other]; });
            if (!is_put[index] && is_ready) ready.push_back(index);
        }
        const size_t chosen = ready[random(ready.size())];
        is_put[chosen] = true;
        put(stream, nodes[chosen].work);
    }
}

void machine::finish_head(CUstream stream) {
    stream->queue.pop_front();
    changed.notify_all();
}

/// Does the first piece of a stream's work, if it can be done now.
bool machine::work_on(CUstream stream) {
    if (stream->queue.empty()) return false;
    const operation work = stream->queue.front();
    device &device = of(*stream);
    const bool is_lost = device.context.lost != CUDA_SUCCESS;
    switch (work.kind) {
    case operation::compute:
        if (!is_lost) {
            const CUresult result = work.run();
            if (result != CUDA_SUCCESS) lose(device, result);
        }
        break;
    case operation::record:
        work.event->reached = std::max(work.event->reached, work.recording);
        work.event->reached_at = seconds(std::chrono::steady_clock::now().time_since_epoch()).count();
        break;
    case operation::wait:
        if (work.event->reached < work.recording) return false;
        break;
    case operation::meet:
        if (!is_lost && !work.exchange->is_done(*this)) return false;
    }
    finish_head(stream);
    return true;
}

/// Does something that brings the stream forward: its own work, or what that waits for on others.
bool machine::work_towards(CUstream stream, int depth) {
    if (work_on(stream)) return true;
    if (stream->queue.empty() || depth > 64) return false;
    const operation work = stream->queue.front();
    if (work.kind == operation::wait) {
        const auto place = work.event->streams.find(work.recording);
        return place != work.event->streams.end() && place->second != stream && work_towards(place->second, depth + 1);
    }
    for (CUstream other : streams.all())
        if (other != stream && work_on(other)) return true;
    return false;
}

bool machine::work_anywhere() {
    std::vector<CUstream> all = streams.all();
    while (!all.empty()) {
        const size_t index = size_t(random(all.size()));
        if (work_on(all[index])) return true;
        all.erase(all.begin() + long(index));
    }
    return false;
}

CUresult machine::work_until(CUstream wanted, const std::function<bool()> &is_done) {
    const auto patience = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        seconds(options.patience_seconds));
    auto deadline = std::chrono::steady_clock::now() + patience;
    // Half of the time nothing else gets done, half of the time anything might.
    const bool is_narrow = random(2) == 0;
    while (!is_done()) {
        if (!streams.has(wanted)) return CUDA_ERROR_INVALID_HANDLE;
        const bool has_worked =
            (!is_narrow && random(2) == 0 && work_anywhere()) || work_towards(wanted, 0);
        if (has_worked) {
            deadline = std::chrono::steady_clock::now() + patience;
        } else if (changed.wait_until(mutex, deadline) == std::cv_status::timeout && !is_done()) {
            complain("a stream waits for work that nobody gives");
            return CUresult(702);
        }
        // The thread may have slept, and others have called.
    }
    return of(*wanted).context.lost;
}

CUresult machine::finish(CUstream stream) {
    return work_until(stream, [stream] { return stream->queue.empty(); });
}

bool machine::forbids_unsafe_call() {
    for (const auto &capture : captures) {
        const bool is_own = capture->thread == std::this_thread::get_id();
        if (capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
        if (capture->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && !is_own) continue;
        capture->is_broken = true;
        return true;
    }
    return false;
}

}  // namespace emulation
