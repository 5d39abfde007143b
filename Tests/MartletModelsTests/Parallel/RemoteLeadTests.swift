import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import Testing

@testable import MartletModels

/// A copy whose lead rank is elsewhere: here on another thread, told by orders and heard by replies.
@Suite struct RemoteLeadTests {
    private let model: TinyModel
    private let replies = MessageQueue<RankReply>()

    init() throws { model = try TinyModel() }

    /// `follower` ends when the group goes.
    private func runner() throws -> GroupRunner {
        let group = LocalGroup(size: 1), replies = replies, model = model
        let follower = FollowerThread(rank: 0, group: group, processors: []) { orders in
            defer { replies.close() }
            let backend = try CPUBackend(threads: 1)
            try orders.follow(reply: { replies.put(try RankReply(decoding: $0.encoded())) }) { _ in
                try model.runner(backend, blockCount: 256)
            }
        }
        let twin = try model.runner(CPUBackend(threads: 1), blockCount: 256)
        follower.orders.put(.begin(twin.limits))
        let lead = RemoteLead(
            limits: twin.limits, costModel: twin.costModel, vision: model.configuration.vision, replies: replies)
        return GroupRunner(lead: lead, followers: [follower], communicator: group.communicator(ofRank: 0))
    }

    private func request(_ prompt: Prompt) -> GenerationRequest {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = 8
        sampling.ignoresEndOfGeneration = true
        return GenerationRequest(prompt: prompt, sampling: sampling)
    }

    /// Text and a picture, with the bits of an engine whose rank is its own.
    @Test func itAnswersLikeOneThatIsHere() async throws {
        let requests = [request(try TinyModel.prompt()), request(Prompt(tokens: TinyModel.textTokens))]
        let expected = try await EngineUnderTest().run { engine in
            var outcomes: [Outcome] = []
            for request in requests { outcomes.append(try await engine.complete(request)[0]) }
            return outcomes
        }
        var configuration = EngineConfiguration()
        configuration.queueTimeoutSeconds = 3600
        configuration.endTokens = model.configuration.endTokens
        let engine = Engine(configuration: configuration, runner: try runner(), seeds: SeedSource(seed: 1))
        let loop = Task { await engine.run() }
        defer { loop.cancel() }
        for (request, expected) in zip(requests, expected) {
            let outcome = try await engine.complete(request)[0]
            #expect(outcome.tokens == expected.tokens)
        }
    }

    /// What its work costs is measured there, by the plans of one that is here, whose own costs stay as they are.
    @Test func itWarmsUpLikeOneThatIsHere() throws {
        let first = GroupRunner(lead: try model.runner(CPUBackend(threads: 1), blockCount: 256))
        let own = first.costModel, remote = try runner()
        var looks = 0.0
        try remote.warmUp(like: first) {
            looks += 1
            return looks * looks
        }
        #expect(first.costModel == own)
        #expect(remote.costModel != own)
    }

    /// A plan at fault is one request's; what comes after goes on.
    @Test func aFaultComesBackAsOne() throws {
        let runner = try runner()
        var plan = StepPlan(index: 1)
        plan.decodes = [SlotDecode(slot: 3)]
        let ticket = try runner.launch(plan)
        #expect(throws: RunnerError.self) { try runner.collect(ticket) }
        var empty = StepPlan(index: 2)
        empty.releases = [3]
        #expect(try runner.collect(runner.launch(empty)).rows.isEmpty)
    }

    /// Its ranks have gone: the engine is told that there is no later.
    @Test func nothingMoreCanCome() throws {
        let runner = try runner()
        replies.close()
        var plan = StepPlan(index: 1)
        plan.releases = [0]
        let ticket = try runner.launch(plan)
        #expect(throws: RunnerLost.self) { try runner.collect(ticket) }
    }

    @Test func repliesAreCodedAndNothingElseIsTaken() throws {
        let replies: [RankReply] = [.result([]), .result([1, 2, 3]), .fault(.unknownSlot), .fault(.outOfOrder)]
        for reply in replies {
            let bytes = try reply.encoded()
            #expect(try RankReply(decoding: bytes) == reply)
            for count in bytes.indices {
                #expect(throws: PlanCodingError.self) { try RankReply(decoding: Array(bytes[..<count])) }
            }
            var wrong = bytes
            wrong[wrong.count - 1] = 0xEE
            guard case .fault = reply else { continue }
            #expect(throws: PlanCodingError.self) { try RankReply(decoding: wrong) }
        }
    }
}
