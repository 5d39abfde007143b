internal import CMPI
import Foundation

/// The processes that a launcher (`mpirun`, `srun`) started together, seen by one of them. MPI is called from one
/// thread at a time: whoever has the world or a communicator of it.
package final class MPIWorld: Sendable {
    package let rank: Int
    package let size: Int
    /// Said when the processes no longer work together.
    package let breakUp = BreakUp()
    private let mpi: martlet_mpi
    private let groupCount = MPICommunicator.GroupCount()

    /// Joins the world. `MARTLET_MPI_LIBRARY` in `environment` names a library where the system would not find it.
    /// Throws what to install or how to start where there is no Open MPI, or no world.
    package init(environment: [String: String]) throws(MPIError) {
        mpi = try Self.load(environment)
        var provided: Int32 = 0
        try Self.check(
            mpi.init_thread(nil, nil, Int32(MARTLET_MPI_SERIALIZED), &provided), "MPI_Init_thread")
        guard provided >= Int32(MARTLET_MPI_SERIALIZED) else {
            throw MPIError("This Open MPI was built without threads: install the distribution's libopenmpi3.")
        }
        try Self.check(mpi.set_error_handler(mpi.world, mpi.errors_return), "MPI_Comm_set_errhandler")
        var rank: Int32 = 0
        var size: Int32 = 0
        try Self.check(mpi.rank(mpi.world, &rank), "MPI_Comm_rank")
        try Self.check(mpi.size(mpi.world, &size), "MPI_Comm_size")
        (self.rank, self.size) = (Int(rank), Int(size))
    }

    /// All ranks of the world, with messages of their own: every rank asks at the same place. `messageLimit`: messages
    /// to one rank that may be under way.
    package func communicator(messageLimit: Int = 2) -> MPICommunicator {
        MPICommunicator(
            mpi, ranks: Array(0..<size), worldRank: rank, messageLimit: messageLimit, breakUp: breakUp,
            groupCount: groupCount)
    }

    /// Leaves the world, once all ranks do; not to be called after a break-up.
    package func leave() { _ = mpi.finalize() }

    /// How many processes a launcher says it has started; 1 without one.
    package static func launchedCount(environment: [String: String]) -> Int {
        if let count = environment["OMPI_COMM_WORLD_SIZE"].flatMap({ Int($0) }) { return max(1, count) }
        // srun starts ranks directly where it speaks PMI; without that its tasks know nothing of one another.
        guard environment["PMIX_RANK"] != nil || environment["PMI_RANK"] != nil else { return 1 }
        let count = environment["PMI_SIZE"] ?? environment["SLURM_STEP_NUM_TASKS"] ?? environment["SLURM_NTASKS"]
        return max(1, count.flatMap { Int($0) } ?? 1)
    }

    /// This process's number among them, as far as the launcher says it before the world is joined.
    package static func launchedRank(environment: [String: String]) -> Int {
        let text = environment["OMPI_COMM_WORLD_RANK"] ?? environment["PMIX_RANK"] ?? environment["PMI_RANK"]
        return max(0, text.flatMap { Int($0) } ?? 0)
    }

    /// Throws what to install where there is no Open MPI; joins nothing.
    package static func check(environment: [String: String]) throws(MPIError) { _ = try load(environment) }

    private static func load(_ environment: [String: String]) throws(MPIError) -> martlet_mpi {
        let path = environment["MARTLET_MPI_LIBRARY"].flatMap { $0.isEmpty ? nil : $0 }
        let table = UnsafeMutablePointer<martlet_mpi>.allocate(capacity: 1)
        defer { table.deallocate() }
        var detail = [CChar](repeating: 0, count: 512)
        let found = martlet_mpi_load(path, table, &detail, detail.count)
        let words = detail.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        switch found {
        case MARTLET_MPI_FOUND: return table.pointee
        case MARTLET_MPI_FOREIGN:
            throw MPIError(
                "The MPI library found here is not Open MPI (it has no \(words)). Install Open MPI "
                    + "(apt-get install openmpi-bin libopenmpi3), or name its library with MARTLET_MPI_LIBRARY.")
        default:
            throw MPIError(
                "Ranks in several processes need Open MPI, which was not found (\(words)). Install it "
                    + "(apt-get install openmpi-bin libopenmpi3), or leave out --distributed-executor-backend mpi and "
                    + "mpirun: then ranks share one process.")
        }
    }

    private static func check(_ code: Int32, _ call: String) throws(MPIError) {
        if code != 0 { throw MPIError("\(call) failed with code \(code).") }
    }
}

/// MPI cannot be used as asked, and what to do.
package struct MPIError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
