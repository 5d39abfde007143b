import Foundation
import MartletCore

/// Where the ranks of a world find one another: rank 0 listens, the others come, each proves that it is of the world
/// and configured alike, and none begins before all are there. Nobody can connect afterwards.
package struct LinkMeeting: ~Copyable {
    private let listener: LinkSocket
    /// Where `listener` is.
    package let port: Int

    /// Rank 0. Throws if `host` is no address of this machine.
    package init(host: String) throws(LinkError) { (listener, port) = try LinkSocket.listen(host: host) }

    deinit { listener.close() }

    /// How long ranks may take to come, once the world has begun: they read the heads of a model's files first.
    private static let joinSeconds = 120.0
    /// How long others may still take to come once one can't take part.
    private static let refusalSeconds = 5.0
    /// Connections that have not proved anything, and how long they may take to do so.
    private static let strangerLimit = 64, strangerSeconds = 10.0

    /// A connection that has not said who it is.
    private struct Stranger {
        let socket: LinkSocket
        let handshake: LeadHandshake
        var reader = LinkFrameReader()
        let deadline: ContinuousClock.Instant
    }

    /// Rank 0: waits for all others. Throws, after telling all that came, when one can't take part or doesn't come.
    package consuming func gather(_ terms: LinkTerms, breakUp: BreakUp) throws(LinkError) -> RankLink {
        var strangers: [Stranger] = []
        var members: [Int: (peer: LinkPeer, welcome: LinkFrame?)] = [:]
        var refusals = terms.complaint.map { ["rank 0: \($0)"] } ?? []
        var deadline = ContinuousClock.now + .seconds(Self.joinSeconds)
        if !refusals.isEmpty { deadline = .now + .seconds(Self.refusalSeconds) }
        defer { for stranger in strangers { stranger.socket.close() } }
        while members.count < terms.worldSize - 1, ContinuousClock.now < deadline {
            admit(&strangers, terms)
            for index in strangers.indices.reversed() {
                guard let answer = Self.listen(to: &strangers[index]) else { continue }
                let socket = strangers.remove(at: index).socket
                switch answer {
                case .accept(let rank, let welcome) where members[rank] == nil:
                    members[rank] = (LinkPeer(rank: rank, socket: socket), welcome)
                case .refuse(let rank, let reason) where members[rank] == nil:
                    members[rank] = (LinkPeer(rank: rank, socket: socket), nil)
                    refusals.append(reason)
                    deadline = min(deadline, .now + .seconds(Self.refusalSeconds))
                default: socket.close()
                }
            }
        }
        let missing = (1..<terms.worldSize).filter { members[$0] == nil }
        if refusals.isEmpty, !missing.isEmpty {
            refusals.append("rank \(missing[0]) did not come within \(Int(Self.joinSeconds)) s")
        }
        let peers = members.values.map(\.peer).sorted { $0.rank < $1.rank }
        guard refusals.isEmpty else {
            let reason = refusals.sorted().joined(separator: "; ")
            try Self.tell(peers.map { ($0, .breakUp(reason)) })
            for peer in peers { peer.close() }
            throw LinkError(reason)
        }
        try Self.tell(members.values.compactMap { member in member.welcome.map { (member.peer, $0) } })
        return try RankLink(peers, breakUp: breakUp, onOrder: { _ in }, onEnd: {})
    }

    /// New connections, and none that has been silent for too long.
    private borrowing func admit(_ strangers: inout [Stranger], _ terms: LinkTerms) {
        var entries = ([listener] + strangers.map(\.socket)).map {
            pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
        }
        _ = poll(&entries, nfds_t(entries.count), 100)
        for index in strangers.indices.reversed() where strangers[index].deadline < .now {
            strangers.remove(at: index).socket.close()
        }
        while let socket = listener.accept() {
            let handshake = LeadHandshake(terms, nonce: Self.nonce())
            guard strangers.count < Self.strangerLimit, let frame = try? handshake.challenge.encoded(),
                frame.withUnsafeBytes({ socket.write($0) }) == .bytes(frame.count)
            else {
                socket.close()
                continue
            }
            strangers.append(
                Stranger(
                    socket: socket, handshake: handshake, deadline: .now + .seconds(Self.strangerSeconds)))
        }
    }

    /// What becomes of it; nil until it has said enough.
    private static func listen(to stranger: inout Stranger) -> LeadHandshake.Answer? {
        do {
            guard let frame = try next(from: stranger.socket, &stranger.reader) else { return nil }
            return stranger.handshake.answer(frame)
        } catch {
            return .drop("\(error)")
        }
    }

    /// The next frame, if it is there; throws if the connection is of no more use.
    private static func next(
        from socket: LinkSocket, _ reader: inout LinkFrameReader
    ) throws(LinkError) -> LinkFrame? {
        var room = [UInt8](repeating: 0, count: 4096)
        do {
            if let frame = try reader.next() { return frame }
            while true {
                let outcome = room.withUnsafeMutableBytes { socket.read(into: $0) }
                switch outcome {
                case .nothing: return nil
                case .closed(let reason): throw LinkError(reason)
                case .bytes(let count):
                    room.withUnsafeBytes { reader.append(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
                }
                if let frame = try reader.next() { return frame }
            }
        } catch {
            throw error as? LinkError ?? LinkError("it says what nobody understands (\(error))")
        }
    }

    private static func tell(_ frames: [(LinkPeer, LinkFrame)]) throws(LinkError) {
        for (peer, frame) in frames {
            guard let bytes = try? frame.encoded() else { throw LinkError("rank \(peer.rank) cannot be told") }
            _ = peer.tell(bytes)
        }
    }

    /// 32 bytes that nobody can guess.
    package static func nonce() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<LinkFrame.nonceBytes).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    // MARK: The others

    /// Any rank but 0: comes, and waits until all are there. Throws rank 0's words where the group can't work.
    package static func join(
        host: String, port: Int, terms: LinkTerms, breakUp: BreakUp,
        onOrder: @escaping @Sendable ([UInt8]) throws -> Void, onEnd: @escaping @Sendable () -> Void
    ) throws(LinkError) -> RankLink {
        let socket = try LinkSocket.connect(host: host, port: port, seconds: 10)
        let reader: LinkFrameReader
        do throws(LinkError) {
            reader = try greet(socket, terms)
        } catch {
            socket.close()
            throw error
        }
        let peer = LinkPeer(rank: 0, socket: socket, reader: reader)
        return try RankLink([peer], breakUp: breakUp, onOrder: onOrder, onEnd: onEnd)
    }

    /// Gives what has arrived behind the welcome.
    private static func greet(_ socket: LinkSocket, _ terms: LinkTerms) throws(LinkError) -> LinkFrameReader {
        let deadline = ContinuousClock.now + .seconds(joinSeconds + 10)
        var handshake = FollowerHandshake(terms, nonce: nonce())
        var reader = LinkFrameReader()
        while ContinuousClock.now < deadline {
            guard let frame = try next(from: socket, &reader) else {
                var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&entry, 1, 100)
                continue
            }
            switch handshake.answer(frame) {
            case .send(let frame):
                let bytes = (try? frame.encoded()) ?? []
                guard !bytes.isEmpty, bytes.withUnsafeBytes({ socket.write($0) }) == .bytes(bytes.count) else {
                    throw LinkError("rank 0 does not read")
                }
            case .fail(let reason): throw LinkError(reason)
            case .done: return reader
            }
        }
        throw LinkError("rank 0 did not say that all ranks are there")
    }
}
