// Exchanges between ranks: each rank's part waits at the head of its stream until those of the others have come there.
#ifndef MARTLET_EXCHANGE_H
#define MARTLET_EXCHANGE_H
#include <map>
#include <memory>
#include <vector>

#include "CCUDA.h"

namespace emulation {

class machine;
struct rank_group;

/// What one rank brings.
struct part {
    enum kind { reduce, broadcast, send, receive };
    part::kind kind;
    std::shared_ptr<rank_group> group;
    int rank;
    /// Of broadcast the root, of send and receive the other rank.
    int peer;
    CUdeviceptr source, target;
    size_t count;
    ncclDataType_t type;
    ncclRedOp_t operation;
    /// Among the group's collectives, or among what these two ranks send each other in this direction.
    uint64_t sequence = 0;
    bool has_arrived = false, is_done = false;
};

/// What a group of calls brings: done when each part is, in whatever order.
struct exchange {
    std::vector<std::shared_ptr<part>> parts;
    /// Says that the stream has come so far, does what can be done, and whether that is all.
    bool is_done(machine &machine);
};

/// The ranks of a communicator.
struct rank_group {
    explicit rank_group(int size) : devices(size_t(size), -1), aborted(size_t(size)), collective_counts(size_t(size)) {}

    int size() const { return int(devices.size()); }
    /// Numbers the part, and keeps it for the others to find.
    void add(const std::shared_ptr<part> &part);
    /// Does what the part is of, if all that belongs to it has arrived.
    void try_to_meet(machine &machine, part &part);

    /// By rank; -1 where none has come.
    std::vector<int> devices;
    /// By rank: those that exchange nothing any more, and are not told of one another.
    std::vector<bool> aborted;
    int joined = 0;
    bool is_refused = false;

  private:
    void reduce(machine &machine, std::vector<std::shared_ptr<part>> &parts);

    std::vector<uint64_t> collective_counts;
    std::map<uint64_t, std::vector<std::shared_ptr<part>>> collectives;
    /// By sender and receiver: what was sent and what is received there.
    std::map<std::pair<int, int>, std::vector<std::shared_ptr<part>>> sent, received;
};

}  // namespace emulation
#endif
