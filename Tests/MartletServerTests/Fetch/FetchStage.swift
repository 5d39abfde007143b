import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

@testable import MartletServer

/// Names as a test wants them: each lookup takes the next of a name's answers, the last one for good.
final class ScriptedResolver: HostResolver {
    private let answers: Mutex<[String: [[IPAddress]]]>
    private let log = Mutex<[String]>([])

    init(_ answers: [String: [[String]]]) {
        self.answers = Mutex(
            answers.mapValues { lists in lists.map { $0.compactMap(IPAddress.init(canonical:)) } })
    }

    /// Names that were asked for.
    var lookups: [String] { log.withLock(\.self) }

    func addresses(of name: String, until deadline: NIODeadline) async throws(FetchError)
        -> [IPAddress]
    {
        log.withLock { $0.append(name) }
        let list = answers.withLock { answers -> [IPAddress] in
            guard let lists = answers[name], let first = lists.first else { return [] }
            if lists.count > 1 { answers[name] = Array(lists.dropFirst()) }
            return first
        }
        guard !list.isEmpty else { throw .unknownHost }
        return list
    }
}

/// Takes every address for a site on loopback, and writes down what it was asked to dial.
final class LoopbackDialler: Dialler {
    struct Call: Equatable, Sendable {
        let address: String
        let port: Int
    }

    private let sitePort: Int?
    private let dead: Set<String>
    private let log = Mutex<[Call]>([])

    /// - Parameter dead: addresses where nobody answers. Without a port nobody ever does.
    init(sitePort: Int?, dead: Set<String> = []) {
        self.sitePort = sitePort
        self.dead = dead
    }

    var calls: [Call] { log.withLock(\.self) }

    func dial(
        _ address: IPAddress, port: Int, until deadline: NIODeadline,
        prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws -> any Channel {
        let text = address.bytes.map(String.init).joined(separator: ".")
        log.withLock { $0.append(Call(address: text, port: port)) }
        guard let sitePort, !dead.contains(text) else { throw ChannelError.connectTimeout(.seconds(0)) }
        return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer(prepare)
            .connect(host: "127.0.0.1", port: sitePort).get()
    }
}

/// A site on loopback that answers raw bytes by path.
struct ScriptedSite: Sendable {
    struct Answer: Sendable {
        var pieces: [[UInt8]]
        /// Between pieces.
        var milliseconds = 0
        /// Otherwise the connection stays open and silent.
        var closes = true
    }

    /// Requests as they came, heads only.
    final class Log: Sendable {
        private let heads = Mutex<[String]>([])
        var all: [String] { heads.withLock(\.self) }
        func add(_ head: String) { heads.withLock { $0.append(head) } }
    }

    let port: Int
    let log: Log
    private let channel: any Channel

    /// - Parameter answers: by path; elsewhere 404.
    init(_ answers: [String: Answer], isTLS: Bool = false) async throws {
        let log = Log()
        let context = isTLS ? try TestCertificate.serverContext() : nil
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    try channel.pipeline.syncOperations.addHandler(SiteHandler(answers: answers, log: log))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.log = log
        port = channel.localAddress?.port ?? 0
    }

    func close() async { try? await channel.close() }

    static func ok(_ body: [UInt8], _ headers: String = "Content-Type: image/png\r\n") -> Answer {
        Answer(pieces: [
            Array("HTTP/1.1 200 OK\r\n\(headers)Content-Length: \(body.count)\r\n\r\n".utf8) + body
        ])
    }

    static func raw(_ text: String) -> Answer { Answer(pieces: [Array(text.utf8)]) }

    static func redirect(_ location: String, _ status: Int = 302) -> Answer {
        raw("HTTP/1.1 \(status) Found\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n")
    }
}

private final class SiteHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let answers: [String: ScriptedSite.Answer]
    private let log: ScriptedSite.Log
    private var head = ""

    init(answers: [String: ScriptedSite.Answer], log: ScriptedSite.Log) {
        self.answers = answers
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        head += String(buffer: unwrapInboundIn(data))
        guard head.hasSuffix("\r\n\r\n") else { return }
        log.add(head)
        let path = head.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        let answer =
            answers[path] ?? ScriptedSite.raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        Self.send(answer, from: 0, on: context.channel)
    }

    private static func send(_ answer: ScriptedSite.Answer, from index: Int, on channel: any Channel) {
        guard index < answer.pieces.count, channel.isActive else {
            if answer.closes { channel.close(promise: nil) }
            return
        }
        channel.writeAndFlush(ByteBuffer(bytes: answer.pieces[index]), promise: nil)
        channel.eventLoop.scheduleTask(in: .milliseconds(Int64(answer.milliseconds))) {
            send(answer, from: index + 1, on: channel)
        }
    }
}
