import Foundation
import MartletCore

/// Where the ranks of several processes run: who shares a machine with whom, and what of it is whose.
package struct RankSeats: Sendable, Equatable {
    package struct Seat: Sendable, Equatable {
        /// Processes with the same one share processors and memory.
        let machine: String
        /// Processes with the same one reach each other at the loopback address.
        let network: String
        /// What the launcher lets the process run on.
        let processors: [Int]

        package init(machine: String, network: String, processors: [Int]) {
            self.machine = machine
            self.network = network
            self.processors = processors
        }

        /// This process's.
        package static func here() -> Seat {
            func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
            let boot = text("/proc/sys/kernel/random/boot_id")
            let space = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
            let machine = boot.map { String($0.prefix(36)) } ?? ProcessInfo.processInfo.hostName
            return Seat(
                machine: machine, network: machine + (space ?? ""), processors: ThreadAffinity.processors())
        }

        /// "MSS" and the version.
        private static let format: UInt32 = 0x0153_534D

        func encoded() throws(PlanCodingError) -> [UInt8] {
            var writer = PlanWriter(format: Self.format)
            writer.write(text: machine)
            writer.write(text: network)
            writer.write(processors.map(Int32.init))
            return try writer.finish(limit: 1 << 16)
        }

        init(decoding bytes: [UInt8]) throws(PlanCodingError) {
            var reader = try PlanReader(bytes, format: Self.format, limit: 1 << 16)
            machine = try reader.text("machine")
            network = try reader.text("network")
            processors = try reader.integers("processors").map(Int.init)
            try reader.finish()
        }
    }

    package let seats: [Seat]

    package init(_ seats: [Seat]) { self.seats = seats }

    /// Every rank calls it at the same place.
    package init(of communicator: any Communicator) throws {
        self.init(try communicator.exchange(Seat.here().encoded()).map { try Seat(decoding: $0) })
    }

    package var isOneNetwork: Bool { Set(seats.map(\.network)).count == 1 }

    /// Ranks on the same machine, itself among them, ascending.
    package func neighbours(of rank: Int) -> [Int] {
        seats.indices.filter { seats[$0].machine == seats[rank].machine }
    }

    /// Where a rank's threads stay: its share of what it may use together with those that may use the same. A launcher
    /// that gives every rank processors of its own is left alone. Empty where there are fewer processors than ranks.
    package func processors(of rank: Int) -> [Int] {
        let sharers = neighbours(of: rank).filter { seats[$0].processors == seats[rank].processors }
        guard let place = sharers.firstIndex(of: rank) else { return [] }
        return ThreadAffinity.shares(of: seats[rank].processors, over: sharers.count)[place]
    }

    /// Threads of a rank. `asked`: of all ranks of its machine together; nil = one for each of its processors, or its
    /// share of the `quota` where that is less than the processors.
    package func threadCount(of rank: Int, asked: Int?, quota: Int) -> Int {
        let neighbours = neighbours(of: rank)
        let place = neighbours.firstIndex(of: rank) ?? 0
        func share(_ count: Int) -> Int {
            max(1, count * (place + 1) / neighbours.count - count * place / neighbours.count)
        }
        if let asked { return share(asked) }
        return quota < seats[rank].processors.count ? share(quota) : max(1, processors(of: rank).count)
    }
}
