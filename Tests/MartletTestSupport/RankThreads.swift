import Foundation
import MartletParallel

/// Runs `body` once for each rank of a group, all at once, and gives what they return in order of rank.
package func ranks<Result: Sendable>(
    _ group: LocalGroup, _ body: @escaping @Sendable (LocalCommunicator) throws -> Result
) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { tasks in
        for rank in 0..<group.size {
            tasks.addTask {
                try await withCheckedThrowingContinuation { continuation in
                    Thread.detachNewThread {
                        continuation.resume(
                            with: Swift.Result { (rank, try body(group.communicator(ofRank: rank))) })
                    }
                }
            }
        }
        var results: [(Int, Result)] = []
        for try await result in tasks { results.append(result) }
        return results.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
