import Foundation
import Synchronization
import Testing

@testable import MartletParallel

/// Real connections between threads of this process.
@Suite struct RankLinkTests {
    private static let secret = [UInt8](repeating: 4, count: 32)

    private static func terms(_ rank: Int, of size: Int, dtype: String = "f32", complaint: String? = nil) -> LinkTerms {
        LinkTerms(
            secret: secret, rank: rank, worldSize: size, agreement: RankAgreement([.init("--dtype", dtype)]),
            complaint: complaint)
    }

    /// What a rank of a world heard and how it ended.
    private final class Member: Sendable {
        let breakUp = BreakUp()
        let orders = MessageQueue<[UInt8]>()
        let link = Mutex<RankLink?>(nil)
        let error = Mutex<String?>(nil)

        func wait(seconds: Double = 60, until isThere: () -> Bool) -> Bool {
            let deadline = ContinuousClock.now + .seconds(seconds)
            while !isThere() {
                if ContinuousClock.now > deadline { return false }
                usleep(5000)
            }
            return true
        }
    }

    private static func join(_ member: Member, port: Int, _ terms: LinkTerms) {
        do {
            let link = try LinkMeeting.join(
                host: "127.0.0.1", port: port, terms: terms, breakUp: member.breakUp,
                onOrder: { member.orders.put($0) }, onEnd: { member.orders.close() })
            member.link.withLock { $0 = link }
        } catch {
            member.error.withLock { $0 = error.description }
        }
    }

    /// Ranks 0 ..< terms.count, all come together or not.
    private func world(_ terms: [LinkTerms], strangers: (Int) -> Void = { _ in }) async throws -> [Member] {
        let members = terms.map { _ in Member() }
        let meeting = try LinkMeeting(host: "127.0.0.1")
        let port = meeting.port
        strangers(port)
        for rank in 1..<terms.count {
            Thread.detachNewThread { Self.join(members[rank], port: port, terms[rank]) }
        }
        do {
            let link = try meeting.gather(terms[0], breakUp: members[0].breakUp)
            members[0].link.withLock { $0 = link }
        } catch {
            members[0].error.withLock { $0 = error.description }
        }
        for member in members {
            #expect(member.wait { member.link.withLock { $0 != nil } || member.error.withLock { $0 != nil } })
        }
        return members
    }

    @Test func ordersArriveInOrderAndEnd() async throws {
        let members = try await world((0..<3).map { Self.terms($0, of: 3) })
        let lead = try #require(members[0].link.withLock { $0 })
        // Larger than what a connection keeps, so that some wait.
        let orders = (0..<40).map { [UInt8](repeating: UInt8($0), count: $0 % 4 == 3 ? 3_000_000 : $0) }
        for order in orders { try lead.order(order, to: 1..<3) }
        lead.end()
        for member in members.dropFirst() {
            for order in orders { #expect(member.orders.next() == order) }
            #expect(member.orders.next() == nil)
            #expect(member.breakUp.reason == nil)
        }
    }

    /// Orders for some ranks are not for the others; what these reply, and how far they are, whoever asked hears.
    @Test func aRankIsAloneSpokenToAndHeard() async throws {
        let members = try await world((0..<3).map { Self.terms($0, of: 3) })
        let lead = try #require(members[0].link.withLock { $0 })
        let replies = MessageQueue<[UInt8]>(), moves = Atomic<Int>(0)
        lead.listen(to: 2) {
            moves.add(1, ordering: .relaxed)
        } onReply: { bytes in
            replies.put(bytes)
        }
        try #require(members[2].link.withLock { $0 }).report { 7 }
        try lead.order([2], to: 2..<3)
        try lead.order([1], to: 1..<2)
        #expect(members[2].orders.next() == [2])
        #expect(members[1].orders.next() == [1])
        try #require(members[2].link.withLock { $0 }).reply([3, 4])
        #expect(replies.next() == [3, 4])
        #expect(members[0].wait { moves.load(ordering: .relaxed) > 0 })
        // Every sign of life says 7: it has not moved again.
        usleep(600_000)
        #expect(moves.load(ordering: .relaxed) == 1)
        // Nobody asked rank 1.
        try #require(members[1].link.withLock { $0 }).reply([5])
        lead.end()
        #expect(members[2].orders.next() == nil)
    }

    /// Whoever breaks up, all know why.
    @Test(arguments: 0...2) func aBreakUpIsToldToAll(rank: Int) async throws {
        let members = try await world((0..<3).map { Self.terms($0, of: 3) })
        members[rank].breakUp.say("rank \(rank): no memory")
        for member in members {
            let isTold = member.wait { member.breakUp.reason == "rank \(rank): no memory" }
            #expect(isTold, "\(member.breakUp.reason ?? "")")
        }
    }

    /// A process that ends closes its connection; the other ranks hear of it from rank 0.
    @Test func aClosedConnectionIsALoss() async throws {
        let members = try await world((0..<2).map { Self.terms($0, of: 3) } + [Self.terms(2, of: 3)])
        // Ends the link's thread without a word.
        try #require(members[2].link.withLock { $0 }).cutOff()
        for member in members[0...1] {
            #expect(
                member.wait { member.breakUp.reason == "rank 2 is gone: its connection was closed" },
                "\(member.breakUp.reason ?? "")")
        }
    }

    /// A process that is stopped closes nothing.
    @Test func silenceIsALoss() async throws {
        let meeting = try LinkMeeting(host: "127.0.0.1")
        let port = meeting.port
        let breakUp = BreakUp()
        Thread.detachNewThread {
            guard let socket = try? LinkSocket.connect(host: "127.0.0.1", port: port, seconds: 10) else { return }
            var handshake = FollowerHandshake(Self.terms(1, of: 2), nonce: LinkMeeting.nonce())
            var bytes = [UInt8](repeating: 0, count: 45)
            while bytes.withUnsafeMutableBytes({ socket.read(into: $0) }) != .bytes(45) { usleep(1000) }
            if let frame = try? LinkFrame(decoding: bytes), case .send(let hello) = handshake.answer(frame) {
                _ = (try? hello.encoded())?.withUnsafeBytes { socket.write($0) }
            }
            while !breakUp.isBroken { usleep(1000) }
            socket.close()
        }
        let link = try meeting.gather(Self.terms(0, of: 2), breakUp: breakUp)
        let start = ContinuousClock.now
        while !breakUp.isBroken { try await Task.sleep(for: .milliseconds(10)) }
        #expect(breakUp.reason == "rank 1 is gone: no sign of life for 1.6 s")
        #expect(ContinuousClock.now - start > .seconds(1.5))
        withExtendedLifetime(link) {}
    }

    @Test func whoDiffersIsNamedToAll() async throws {
        let members = try await world([
            Self.terms(0, of: 3), Self.terms(1, of: 3, dtype: "f16"), Self.terms(2, of: 3),
        ])
        for member in members {
            #expect(member.error.withLock { $0 } == "rank 1: --dtype is f16 there and f32 on rank 0")
        }
    }

    @Test(arguments: 0...1) func aComplaintIsToldToAll(rank: Int) async throws {
        let members = try await world((0..<3).map { Self.terms($0, of: 3, complaint: $0 == rank ? "no model" : nil) })
        for member in members { #expect(member.error.withLock { $0 } == "rank \(rank): no model") }
    }

    /// Who connects and says nothing, or anything, keeps nobody waiting.
    @Test func strangersDisturbNobody() async throws {
        let sockets = Guard()
        let members = try await world((0..<2).map { Self.terms($0, of: 2) }) { port in
            for index in 0..<20 {
                guard let socket = try? LinkSocket.connect(host: "127.0.0.1", port: port, seconds: 10) else { continue }
                sockets.add(socket)
                if index % 2 == 1 {
                    _ = Array("GET / HTTP/1.1\r\nhost: a\r\n\r\n".utf8).withUnsafeBytes { socket.write($0) }
                }
            }
        }
        for member in members { #expect(member.error.withLock { $0 } == nil) }
        sockets.close()
    }

    private final class Guard: Sendable {
        private let sockets = Mutex<[LinkSocket]>([])
        func add(_ socket: LinkSocket) { sockets.withLock { $0.append(socket) } }
        func close() { for socket in sockets.withLock({ $0 }) { socket.close() } }
    }
}

extension RankLink {
    /// As when the process is killed.
    func cutOff() { for peer in peers { peer.close() } }
}
