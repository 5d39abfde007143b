import Foundation
import Hummingbird
import MartletCore
import MartletEngine
import NIOCore
import ServiceLifecycle
import Testing

@testable import MartletServer

/// What only real connections show: clients that leave, bodies and headers without end, signals, taken ports.
@Suite(.serialized) struct LiveTests {
    /// Runs the server on a free port while `body` runs.
    private func live<Value: Sendable>(
        _ server: ServerUnderTest, _ body: @escaping @Sendable (Int) async throws -> Value
    ) async throws -> Value {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let application = server.application.application { continuation.yield($0) }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await application.run()
                return nil
            }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let value = try await body(port)
            group.cancelAll()
            return value
        }
    }

    /// Whether `condition` comes true within a minute.
    private static func sees(_ condition: @Sendable () -> Bool) async -> Bool {
        for _ in 0..<12_000 {
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    static let chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"stream\":%}"

    private func chat(stream: Bool) -> String { Self.chat.replacingOccurrences(of: "%", with: "\(stream)") }

    /// An engine that says one token, or none, and then nothing more.
    private func silent(afterTokens count: Int) -> ScriptedEngine {
        ScriptedEngine { request throws(EngineError) in
            Array(ScriptedEngine.talk("abcdef", request: request).prefix(1 + count)) + [.hang]
        }
    }

    @Test(arguments: [(true, 1, false), (true, 1, true), (true, 0, false), (false, 0, false), (false, 2, true)])
    func cancelsWhenTheClientLeaves(stream: Bool, tokens: Int, reset: Bool) async throws {
        let engine = silent(afterTokens: tokens)
        let server = try ServerUnderTest(engine)
        let body = chat(stream: stream)
        let wasCancelled = try await live(server) { port in
            let client = try RawClient(port: port)
            await client.post("/v1/chat/completions", body)
            if stream, tokens > 0 {
                let seen = await client.read(until: "\"content\":\"a\"")
                #expect(seen.contains("\"content\":\"a\""))
            } else {
                #expect(await Self.sees { !engine.requests.isEmpty })
            }
            client.hangUp(reset: reset)
            return await engine.sawCancels(1)
        }
        #expect(wasCancelled)
        #expect(engine.cancelled.count == 1)
    }

    /// A stream leaves its connection fit for the next request.
    @Test func keepsConnectionsAlive() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Yo"))
        let body = chat(stream: true)
        try await live(server) { port in
            let client = try RawClient(port: port)
            for _ in 0..<3 {
                await client.post("/v1/chat/completions", body)
                let text = await client.read(until: "[DONE]\n\n\r\n0\r\n\r\n")
                #expect(text.contains("[DONE]"))
            }
            client.hangUp()
        }
        #expect(server.engine.requests.count == 3)
    }

    /// The head waits for the first token (D15).
    @Test func sendsNoHeadBeforeTheFirstToken() async throws {
        let server = try ServerUnderTest(silent(afterTokens: 0)) { $0.keepAliveSeconds = 0.3 }
        let body = chat(stream: true)
        let (seconds, text) = try await live(server) { port in
            let client = try RawClient(port: port)
            let clock = ContinuousClock()
            let start = clock.now
            await client.post("/v1/chat/completions", body)
            let text = await client.read(until: "keep-alive")
            client.hangUp()
            return ((clock.now - start) / .seconds(1), text)
        }
        #expect(seconds >= 0.3)
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(text.contains(": keep-alive\n\n"))
    }

    @Test func endsBodiesWithoutEnd() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y")) { $0.limits.bodyBytes = 4096 }
        try await live(server) { port in
            let declared = try RawClient(port: port)
            await declared.send(
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{")
            let early = await declared.read()
            #expect(early.hasPrefix("HTTP/1.1 413 "))
            let chunked = try RawClient(port: port)
            await chunked.send(
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<64 { await chunked.send("80\r\n\(String(repeating: " ", count: 128))\r\n") }
            let late = await chunked.read()
            #expect(late.hasPrefix("HTTP/1.1 413 "))
            #expect(late.lowercased().contains("connection: close"))
            declared.hangUp()
            chunked.hangUp()
        }
    }

    /// curl asks before it sends more than a megabyte, and waits a second for the answer.
    @Test func tellsAskingClientsToGoOn() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y")) { $0.limits.bodyBytes = 100 }
        try await live(server) { port in
            let client = try RawClient(port: port)
            let head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
            await client.send("\(head)14\r\n\r\n")
            #expect(await client.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            await client.send("{\"prompt\":\"a\"}")
            #expect(await client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 OK"))
            client.hangUp()
            let large = try RawClient(port: port)
            await large.send("\(head)101\r\n\r\n")
            #expect(await large.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 413"))
            large.hangUp()
        }
    }

    @Test(arguments: [
        String(repeating: "a: b\r\n", count: 101), "a: \(String(repeating: "b", count: 17 << 10))\r\n",
    ]) func refusesManyHeaders(_ headers: String) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        try await live(server) { port in
            let client = try RawClient(port: port)
            await client.send("GET /health HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
            let reply = await client.read()
            #expect(reply.isEmpty || reply.hasPrefix("HTTP/1.1 4"), "\(reply.prefix(60))")
            client.hangUp()
            let other = try RawClient(port: port)
            await other.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await other.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
            other.hangUp()
        }
    }

    /// SIGTERM: not ready at once, running streams end, the server returns by itself.
    @Test func drainsOnShutdown() async throws {
        let engine = ScriptedEngine { request throws(EngineError) in
            var acts = ScriptedEngine.talk("abc", request: request)
            acts.insert(.wait(.milliseconds(400)), at: 2)
            return acts
        }
        let server = try ServerUnderTest(engine) { $0.shutdownSeconds = 5 }
        let body = chat(stream: true)
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let run = Task { try await server.application.run { continuation.yield($0) } }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        let client = try RawClient(port: port)
        await client.post("/v1/chat/completions", body)
        _ = await client.read(until: "\"content\":\"a\"")
        kill(getpid(), SIGTERM)
        #expect(await Self.sees { server.application.readiness.phase == .draining })
        let probe = try RawClient(port: port)
        await probe.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        // To the end of the connection: a proxy keeps none to a server that goes.
        let refusal = await probe.read()
        #expect(refusal.hasPrefix("HTTP/1.1 503") && refusal.lowercased().contains("\r\nconnection: close\r\n"))
        probe.hangUp()
        #expect(await client.read().contains("data: [DONE]\n\n"))
        client.hangUp()
        try await run.value
        #expect(engine.drainCount == 1)
    }

    @Test func saysWhoHoldsThePort() async throws {
        let first = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        try await live(first) { port in
            let second = try ServerUnderTest(ScriptedEngine(saying: "Y")) { $0.port = port }
            let error = await #expect(throws: ServerStartError.self) { try await second.application.run() }
            let text = error?.description ?? ""
            #expect(text.hasPrefix("Port \(port) on 127.0.0.1 is already in use. It is held by process \(getpid()) ("))
            #expect(text.hasSuffix("`--port \(port + 1)`."))
        }
    }
}
