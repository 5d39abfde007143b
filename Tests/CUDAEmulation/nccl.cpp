// NCCL at 1 to 8 ranks in this process, each on a device of its own.
#include <cstring>

#include "exchange.h"
#include "machine.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

/// What this thread has called since ncclGroupStart.
struct call_group {
    int depth = 0;
    std::vector<std::pair<CUstream, part>> parts;
    std::vector<std::shared_ptr<rank_group>> joining;
};
static thread_local call_group calls;

ncclResult_t ncclGetVersion(int *version) {
    *version = 22005;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
    switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "NCCL operation in progress";
    }
    return "unknown result code";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    memset(id, 0, sizeof *id);
    const uint64_t number = ++here().group_count;
    memcpy(id->internal, &number, sizeof number);
    return ncclSuccess;
}

/// Waits until every rank has come.
static ncclResult_t wait_for(const std::shared_ptr<rank_group> &group) {
    const auto patience = std::chrono::milliseconds(int64_t(here().options.patience_seconds * 1000));
    machine &machine = here();
    const bool are_all = machine.changed.wait_for(
        machine.mutex, patience, [&] { return group->joined == group->size() || group->is_refused; });
    if (!are_all) {
        machine.complain("a rank waits for others to make a communicator");
        return ncclSystemError;
    }
    return group->is_refused ? ncclInvalidUsage : ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t *communicator, int rank_count, ncclUniqueId id, int rank) {
    device *device = here().current_device();
    if (!device || device->context.lost != CUDA_SUCCESS) return ncclUnhandledCudaError;
    if (rank_count < 1 || rank_count > 8 || rank < 0 || rank >= rank_count) return ncclInvalidArgument;
    std::shared_ptr<rank_group> &group = here().groups[std::string(id.internal, sizeof id.internal)];
    if (!group) group = std::make_shared<rank_group>(rank_count);
    if (group->size() != rank_count || group->devices[size_t(rank)] >= 0) return ncclInvalidArgument;
    for (int other : group->devices) group->is_refused |= other == device->context.device;
    group->devices[size_t(rank)] = device->context.device;
    group->joined++;
    here().changed.notify_all();
    *communicator = here().communicators.make({group, rank, device->context.device});
    if (calls.depth > 0) {
        calls.joining.push_back(group);
        return ncclSuccess;
    }
    const ncclResult_t result = wait_for(std::shared_ptr<rank_group>(group));
    if (result != ncclSuccess) {
        here().communicators.destroy(*communicator);
        *communicator = nullptr;
    }
    return result;
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
    return here().communicators.destroy(communicator) ? ncclSuccess : ncclInvalidArgument;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) {
    if (!here().communicators.has(communicator)) return ncclInvalidArgument;
    communicator->group->aborted[size_t(communicator->rank)] = true;
    here().changed.notify_all();
    here().communicators.destroy(communicator);
    return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t *error) {
    if (!here().communicators.has(communicator)) return ncclInvalidArgument;
    *error = ncclSuccess;
    return ncclSuccess;
}

/// Puts parts on their stream as one exchange.
static void put_parts(CUstream stream, const std::vector<part> &parts) {
    operation work{operation::meet, nullptr, nullptr, 0, [parts] {
                       auto made = std::make_shared<exchange>();
                       for (const part &each : parts) {
                           made->parts.push_back(std::make_shared<part>(each));
                           each.group->add(made->parts.back());
                       }
                       return made;
                   }};
    here().put(stream, std::move(work));
}

static ncclResult_t put(CUstream stream, ncclComm_t communicator, part part) {
    if (!here().communicators.has(communicator) || !here().streams.has(stream)) return ncclInvalidArgument;
    if (stream->device != communicator->device) return ncclInvalidArgument;
    if (here().of(*stream).context.lost != CUDA_SUCCESS) return ncclUnhandledCudaError;
    part.group = communicator->group;
    part.rank = communicator->rank;
    if (part.peer < 0 || part.peer >= part.group->size()) return ncclInvalidArgument;
    if (calls.depth > 0) {
        calls.parts.emplace_back(stream, part);
    } else {
        put_parts(stream, {part});
    }
    return ncclSuccess;
}

static CUdeviceptr address_of(const void *pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

ncclResult_t ncclAllReduce(const void *source, void *target, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t communicator, CUstream stream) {
    return put(stream, communicator,
               {part::reduce, nullptr, 0, 0, address_of(source), address_of(target), count, type, operation});
}

ncclResult_t ncclBroadcast(const void *source, void *target, size_t count, ncclDataType_t type, int root,
                           ncclComm_t communicator, CUstream stream) {
    return put(stream, communicator,
               {part::broadcast, nullptr, 0, root, address_of(source), address_of(target), count, type, ncclSum});
}

ncclResult_t ncclSend(const void *source, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator,
                      CUstream stream) {
    return put(stream, communicator, {part::send, nullptr, 0, peer, address_of(source), 0, count, type, ncclSum});
}

ncclResult_t ncclRecv(void *target, size_t count, ncclDataType_t type, int peer, ncclComm_t communicator,
                      CUstream stream) {
    return put(stream, communicator, {part::receive, nullptr, 0, peer, 0, address_of(target), count, type, ncclSum});
}

ncclResult_t ncclGroupStart(void) {
    calls.depth++;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void) {
    if (calls.depth == 0) return ncclInvalidUsage;
    if (--calls.depth > 0) return ncclSuccess;
    const call_group ended = std::move(calls);
    calls = call_group();
    for (const auto &group : ended.joining) {
        const ncclResult_t result = wait_for(group);
        if (result != ncclSuccess) return result;
    }
    std::vector<std::pair<CUstream, std::vector<part>>> streams;
    for (const auto &[stream, part] : ended.parts) {
        auto found = streams.begin();
        while (found != streams.end() && found->first != stream) ++found;
        if (found == streams.end()) found = streams.insert(found, {stream, {}});
        found->second.push_back(part);
    }
    for (const auto &[stream, parts] : streams) put_parts(stream, parts);
    return ncclSuccess;
}

}  // namespace emulation::emulated
