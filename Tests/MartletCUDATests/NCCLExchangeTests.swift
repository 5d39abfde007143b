import CCUDA
import MartletParallel
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCUDA

/// Ranks on emulated GPUs of their own exchange by NCCL as they do through the host.
@Suite(.timeLimit(.minutes(20))) struct NCCLExchangeTests {
    /// Of rank `rank`: sums of three depend on their order.
    private static func values(_ count: Int, rank: Int) -> [Float] {
        var generator = SeededGenerator(seed: UInt64(rank + 1))
        return generator.floats(count, in: -1e4...1e4)
    }

    /// Runs `body` once for each of `count` ranks, each with a GPU of its own.
    private func together(
        _ count: Int, on gpus: EmulatedGPUs, _ body: @escaping @Sendable (CUDABackend) throws -> [Float]
    ) async throws -> [[Float]] {
        try await ranks(LocalGroup(size: count)) { communicator in
            try body(
                CUDABackend(
                    gpus.device(communicator.rank), operandType: .f32, threads: 1, communicator: communicator))
        }
    }

    /// Whole parts, slices, more than a piece of each; counts that nothing divides.
    @Test(arguments: [
        (2, 1), (2, 1000), (2, NCCLExchange.pieceCount + 3), (3, 7), (3, 1 << 16), (3, 1 << 16 + 1), (4, 100_003),
        (3, 3 * NCCLExchange.pieceCount + 17),
    ])
    func sumsAreInOrderOfRank(size: Int, count: Int) async throws {
        var expected = Self.values(count, rank: 0)
        for rank in 1..<size { expected = zip(expected, Self.values(count, rank: rank)).map { $0 + $1 } }
        try await EmulatedGPUs.run(count: size) { gpus in
            let found = try await together(size, on: gpus) { backend in
                let x = try backend.makeActivation(rows: 1, width: count)
                backend.write(Self.values(count, rank: backend.rank), to: x)
                try backend.allReduce(x)
                return try backend.read(x)
            }
            for sum in found { #expect(sum == expected) }
            #expect(gpus.callCount(of: "ncclCommInitRank") == size)
            #expect(gpus.callCount(of: "ncclCommDestroy") == size)
        }
    }

    @Test func columnsAreGathered() async throws {
        let widths = [3, 0, 5], rows = 4
        try await EmulatedGPUs.run(count: 3) { gpus in
            let found = try await together(3, on: gpus) { backend in
                let x = try backend.makeActivation(rows: rows, width: 8)
                backend.write([Float](repeating: Float(backend.rank + 1), count: rows * 8), to: x)
                try backend.allGather(widths, of: x)
                return try backend.read(x)
            }
            for all in found { #expect(all == (0..<rows).flatMap { _ in [1, 1, 1, 3, 3, 3, 3, 3] }) }
        }
    }

    @Test(arguments: 0..<3) func everyRankHasTheRootsRows(root: Int) async throws {
        try await EmulatedGPUs.run(count: 3) { gpus in
            let found = try await together(3, on: gpus) { backend in
                let x = try backend.makeActivation(rows: 2, width: 5)
                backend.write([Float](repeating: Float(backend.rank), count: 10), to: x)
                try backend.broadcast(x, from: root)
                return try backend.read(x)
            }
            for all in found { #expect(all == [Float](repeating: Float(root), count: 10)) }
        }
    }

    /// A call that fails on one rank while they find each other: all of them exchange in another way.
    @Test(arguments: [("ncclGetUniqueId", 1), ("ncclCommInitRank", 1), ("ncclCommInitRank", 2)])
    func withoutNCCLAsWell(function: String, call: Int) async throws {
        do {
            try await exchangeWithoutNCCL(function, call)
        } catch let complaints as EmulatedGPUs.Complaints where function == "ncclCommInitRank" {
            // The other rank waited for this one.
            #expect(complaints.description.contains("a rank waits for others to make a communicator"))
        }
    }

    private func exchangeWithoutNCCL(_ function: String, _ call: Int) async throws {
        try await EmulatedGPUs.run(count: 2, patienceSeconds: 1) { gpus in
            gpus.plant(function, call: call, error: Int(ncclSystemError.rawValue))
            let found = try await together(2, on: gpus) { backend in
                let x = try backend.makeActivation(rows: 1, width: 3)
                backend.write([Float(backend.rank), 1, 2], to: x)
                try backend.allReduce(x)
                let words = try #require(try backend.rankExchangeSummary())
                #expect(words.hasPrefix("the host's memory (") && words.contains("NCCL") || words.contains("nccl"))
                return try backend.read(x)
            }
            #expect(found == [[1, 2, 4], [1, 2, 4]])
        }
    }

    /// A call that fails later is an error that names it, and the rank that waits for it is let go.
    @Test(arguments: ["ncclSend", "ncclRecv", "ncclGroupStart", "ncclGroupEnd", "ncclCommGetAsyncError"])
    func aFailedCallEndsAll(function: String) async throws {
        try await EmulatedGPUs.run(count: 2) { gpus in
            let found = try await ranks(LocalGroup(size: 2)) { communicator -> String in
                let backend = try CUDABackend(
                    gpus.device(communicator.rank), operandType: .f32, threads: 1, communicator: communicator)
                let x = try backend.makeActivation(rows: 1, width: 3)
                backend.write([1, 2, 3], to: x)
                _ = try backend.rankExchangeSummary()
                try communicator.barrier()
                if communicator.rank == 0 { gpus.plant(function, call: 1, error: Int(ncclSystemError.rawValue)) }
                try communicator.barrier()
                do {
                    try backend.allReduce(x)
                    _ = try backend.read(x)
                    return "none"
                } catch {
                    communicator.breakUp("\(error)")
                    return "\(error)"
                }
            }
            #expect(found.contains { $0.contains(function) || $0.contains("an exchange by NCCL") }, "\(found)")
            #expect(!found.contains("none"))
        }
    }

    @Test func whoCannotExchangeSaysWhy() {
        func offer(_ version: Int, _ gpu: UInt8) -> NCCLOffer {
            NCCLOffer(version: version, device: [UInt8](repeating: gpu, count: 16))
        }
        #expect(NCCLOffer.objection(to: [offer(22005, 1), offer(22005, 2)]) == nil)
        #expect(NCCLOffer.objection(to: [offer(22005, 1), offer(0, 2)]) == "rank 1 has no libnccl")
        #expect(NCCLOffer.objection(to: [offer(21003, 1), offer(21003, 2)]) == "rank 0 has NCCL 2.10.3, 2.11 is needed")
        #expect(
            NCCLOffer.objection(to: [offer(22005, 1), offer(21805, 2)]) == "rank 1 has NCCL 2.18.5, rank 0 2.20.5")
        #expect(
            NCCLOffer.objection(to: [offer(22005, 1), offer(22005, 2), offer(22005, 1)]) == "ranks 0 and 2 share a GPU")
        let sent = offer(22005, 7)
        #expect(NCCLOffer(decoding: sent.encoded) == sent)
    }
}
