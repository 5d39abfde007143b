/// Ranks that compute together, seen by one of them. Every rank calls the same operations in the same order with the
/// same counts, each from one thread at a time; an operation returns when this rank's part of it is done and its memory
/// may be used again. Memory is the host's.
///
/// All throw `CommunicatorError` once the group is broken up: a rank that fails must not leave the others waiting.
package protocol Communicator: AnyObject {
    /// 0 ..< size.
    var rank: Int { get }
    var size: Int { get }

    /// x = the sum of every rank's x, element by element in order of rank, whatever the count (D6): the same bits on
    /// every rank, and of a row whatever stands beside it.
    func allReduce(_ x: UnsafeMutableBufferPointer<Float>) throws(CommunicatorError)

    /// x = [rank 0's piece | rank 1's piece | …]: piece r has `counts[r]` elements, and each rank brings its own in
    /// place.
    func allGather(_ counts: [Int], in x: UnsafeMutableBufferPointer<Float>) throws(CommunicatorError)

    /// x = rank `root`'s x.
    func broadcast(_ x: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicatorError)

    /// Hands x to rank `target`, which is to receive as many bytes. Messages from one rank to another arrive in order;
    /// a few may be under way before `send` waits.
    func send(_ x: UnsafeRawBufferPointer, to target: Int) throws(CommunicatorError)

    /// x = the next message of rank `source`.
    func receive(_ x: UnsafeMutableRawBufferPointer, from source: Int) throws(CommunicatorError)

    /// Returns when every rank has come.
    func barrier() throws(CommunicatorError)

    /// `ranks` of this group, this one's among them, as a group of their own: numbered as they stand there, with
    /// messages of their own. Every rank calls it at the same place, each for the ranks that it is to work with.
    func subgroup(_ ranks: [Int]) -> any Communicator

    /// Ends the group, and with it every group that it is part of or that is part of it: what waits in an operation on
    /// any rank, or comes to one, throws with this reason. The first reason stays. From any thread.
    func breakUp(_ reason: String)

    /// Throws if the group is broken up; waits for nobody. For whoever waits for ranks by other means than these.
    func check() throws(CommunicatorError)
}

/// A group that can't go on: which is for good.
package struct CommunicatorError: Error, Equatable, CustomStringConvertible {
    package let reason: String

    package init(reason: String) { self.reason = reason }

    package var description: String { "The ranks no longer work together: \(reason)" }
}

/// The group of one: nothing to exchange.
package final class SoleCommunicator: Communicator {
    package let rank = 0
    package let size = 1

    package init() {}

    package func allReduce(_ x: UnsafeMutableBufferPointer<Float>) {}
    package func allGather(_ counts: [Int], in x: UnsafeMutableBufferPointer<Float>) {}
    package func broadcast(_ x: UnsafeMutableRawBufferPointer, from root: Int) {}
    package func send(_ x: UnsafeRawBufferPointer, to target: Int) { preconditionFailure("no rank \(target)") }
    package func receive(_ x: UnsafeMutableRawBufferPointer, from source: Int) {
        preconditionFailure("no rank \(source)")
    }
    package func barrier() {}
    package func subgroup(_ ranks: [Int]) -> any Communicator { self }
    package func breakUp(_ reason: String) {}
    package func check() {}
}
