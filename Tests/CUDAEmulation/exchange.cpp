#include "exchange.h"

#include <algorithm>

#include "machine.h"
#include "numbers.h"

namespace emulation {

static element element_of(ncclDataType_t type) {
    switch (type) {
    case ncclInt8: return element::i8;
    case ncclInt32: return element::i32;
    case ncclFloat16: return element::f16;
    case ncclFloat32: return element::f32;
    case ncclBfloat16: return element::bf16;
    }
}

static void *pointer(CUdeviceptr address) { return reinterpret_cast<void *>(address); }

bool exchange::is_done(machine &machine) {
    for (const auto &part : parts) part->has_arrived = true;
    for (const auto &part : parts)
        if (!part->is_done) part->group->try_to_meet(machine, *part);
    return std::all_of(parts.begin(), parts.end(),
                       [](const auto &part) { return part->is_done || part->group->aborted[size_t(part->rank)]; });
}

void rank_group::add(const std::shared_ptr<part> &part) {
    if (part->kind == part::send || part->kind == part::receive) {
        const bool is_sent = part->kind == part::send;
        const auto pair = is_sent ? std::pair(part->rank, part->peer) : std::pair(part->peer, part->rank);
        auto &queue = is_sent ? sent[pair] : received[pair];
        part->sequence = queue.size();
        queue.push_back(part);
    } else {
        part->sequence = collective_counts[size_t(part->rank)]++;
        collectives[part->sequence].push_back(part);
    }
}

static bool are_alike(const part &one, const part &other) {
    return one.count == other.count && one.type == other.type && one.kind == other.kind &&
           one.operation == other.operation && (one.kind == part::reduce || one.peer == other.peer);
}

static float combined(ncclRedOp_t operation, float one, float other) {
    switch (operation) {
    case ncclSum: return one + other;
    case ncclMax: return std::max(one, other);
    case ncclMin: return std::min(one, other);
    }
}

/// Each element in the type that is exchanged, from whatever rank on: NCCL's order is its own.
void rank_group::reduce(machine &machine, std::vector<std::shared_ptr<part>> &parts) {
    const element type = element_of(parts[0]->type);
    const size_t first = size_t(machine.random(parts.size())), bytes = parts[0]->count * size_of(type);
    std::vector<char> result(bytes), next(bytes);
    memcpy(result.data(), pointer(parts[first]->source), bytes);
    for (size_t step = 1; step < parts.size(); step++) {
        const void *source = pointer(parts[(first + step) % parts.size()]->source);
        for (size_t index = 0; index < parts[0]->count; index++) {
            write_element(type, result.data(), index,
                          combined(parts[0]->operation, read_element(type, result.data(), index),
                                   read_element(type, source, index)));
        }
    }
    for (const auto &part : parts) memcpy(pointer(part->target), result.data(), bytes);
}

static bool is_memory(const machine &machine, const part &part) {
    const size_t bytes = part.count * size_of(element_of(part.type));
    return (part.source == 0 || machine.is_device_memory(part.source, bytes)) &&
           (part.target == 0 || machine.is_device_memory(part.target, bytes));
}

void rank_group::try_to_meet(machine &machine, part &own) {
    std::vector<std::shared_ptr<part>> parts;
    if (own.kind == part::send || own.kind == part::receive) {
        const bool is_sent = own.kind == part::send;
        const auto pair = is_sent ? std::pair(own.rank, own.peer) : std::pair(own.peer, own.rank);
        if (own.sequence >= sent[pair].size() || own.sequence >= received[pair].size()) return;
        parts = {sent[pair][own.sequence], received[pair][own.sequence]};
    } else {
        parts = collectives[own.sequence];
        if (int(parts.size()) < size()) return;
        std::sort(parts.begin(), parts.end(), [](const auto &a, const auto &b) { return a->rank < b->rank; });
    }
    for (const auto &part : parts)
        if (!part->has_arrived || aborted[size_t(part->rank)]) return;
    bool is_legal = true;
    for (const auto &part : parts) {
        const bool is_pair = part->kind == part::send || part->kind == part::receive;
        const bool is_alike = is_pair ? part->count == own.count && part->type == own.type : are_alike(*part, own);
        is_legal = is_legal && is_alike && is_memory(machine, *part);
        part->is_done = true;
    }
    if (!is_legal) return machine.complain("ranks brought different things to an exchange, or memory that was freed");
    const size_t bytes = own.count * size_of(element_of(own.type));
    switch (own.kind) {
    case part::reduce: reduce(machine, parts); break;
    case part::broadcast: {
        const auto root = pointer(parts[size_t(own.peer)]->source);
        for (const auto &part : parts) memmove(pointer(part->target), root, bytes);
        break;
    }
    default: memcpy(pointer(parts[1]->target), pointer(parts[0]->source), bytes);
    }
    if (own.kind == part::reduce || own.kind == part::broadcast) collectives.erase(own.sequence);
}

}  // namespace emulation
