import MartletCore
import MartletEngine
import MartletTestSupport
import Synchronization
import Testing

/// What the engine gives to the threads that read.
@Suite(.timeLimit(.minutes(1))) struct EventRouteTests {
    @Test func aStepWakesAThreadOnceForAllItsRequests() async throws {
        let route = HeldRoute()
        let answers = try await answers(of: 3, maxTokens: 20, over: route)
        for answer in answers {
            #expect(answer.first == .started(promptTokens: 2, cachedTokens: 0))
            #expect(answer.last == .finished(choice: 0, reason: .length, stopToken: nil, message: nil))
            #expect(answer.count == 22)
        }
        // 66 events; admission takes a post, each of the 20 tokens one, and requests come in one after the other.
        #expect(route.count <= 26, "\(route.count) posts")
    }

    @Test func anEndDoesNotHideWhatAFullBufferDropped() async throws {
        var configuration = EngineConfiguration()
        configuration.eventBufferLimit = 4
        let answer = try await answers(of: 1, maxTokens: 20, over: HeldRoute(), configuration: configuration)[0]
        #expect(answer.count == 5)
        #expect(
            answer.last
                == .finished(
                    choice: 0, reason: .cancelled, stopToken: nil, message: "The client reads too slowly."))
    }

    /// Nothing is delivered before the engine has done with all requests.
    private func answers(
        of count: Int, maxTokens: Int, over route: HeldRoute,
        configuration: EngineConfiguration = EngineConfiguration()
    ) async throws -> [[GenerationEvent]] {
        let engine = Engine(
            configuration: configuration, runner: ScriptedModelRunner(limits: .small(), script: RunnerScript()),
            seeds: SeedSource(seed: 1))
        var generations: [Generation] = []
        for index in 0..<TokenID(count) {
            var request = GenerationRequest([1, index + 2], maxTokens: maxTokens)
            request.route = route
            generations.append(try await engine.submit(request))
        }
        let loop = Task { await engine.run() }
        await engine.drain(timeout: .seconds(30))
        loop.cancel()
        await loop.value
        route.release()
        var answers: [[GenerationEvent]] = []
        for generation in generations {
            answers.append(await generation.events.reduce(into: []) { $0.append($1) })
        }
        return answers
    }
}

/// A thread that does nothing until it is let go.
private final class HeldRoute: EventRoute {
    private let held = Mutex<[@Sendable () -> Void]>([])

    var thread: ObjectIdentifier { ObjectIdentifier(self) }
    var count: Int { held.withLock { $0.count } }

    func run(_ work: @escaping @Sendable () -> Void) { held.withLock { $0.append(work) } }

    func release() { for work in held.withLock({ $0 }) { work() } }
}
