import ArgumentParser
import Foundation
import MartletEngine
import MartletModels
import MartletTensor
import Testing

@testable import MartletCommand

/// `martlet plan --simulate`: traces, costs, and what is printed. What is simulated is tested with the engine.
@Suite struct SimulationPlanTests {
    private func requests(_ text: String) throws -> [SimulatedRequest] {
        try RequestTrace.requests(Array(text.utf8), file: "t.jsonl")
    }

    @Test func readsATrace() throws {
        let found = try requests(
            """
            {"arrival": 1.5, "prompt_tokens": 50, "output_tokens": 7, "prefix": "day", "prefix_tokens": 20}

            {"arrival": 0, "prompt_tokens": 9, "output_tokens": 1, "conversation": 12}\r
            {"arrival":2,"prompt_tokens":90,"output_tokens":3,"conversation":"12","conversation_tokens":30,\
            "image_tokens":40}
            """)
        #expect(found.map(\.arrival) == [1.5, 0, 2])
        #expect(found[0].prefixTokens == 20 && found[0].conversationTokens == 0 && !found[0].keepsAnswer)
        // The whole prompt is the conversation's, and the answer.
        #expect(found[1].conversationTokens == 9 && found[1].keepsAnswer)
        #expect(found[2].conversation == found[1].conversation)
        #expect(found[2].conversationTokens == 30 && found[2].imageTokens == 40 && !found[2].keepsAnswer)
    }

    @Test(arguments: [
        ("", "no requests"), ("[1]", "line 1: no JSON object"), ("{", "line 1: not valid JSON at byte 1"),
        ("\n{\"arrival\":0}", "line 2: prompt_tokens and output_tokens are missing"),
        ("{\"arrival\":-1,\"prompt_tokens\":1,\"output_tokens\":1}", "arrival is in seconds"),
        ("{\"arrival\":1e300,\"prompt_tokens\":1,\"output_tokens\":1}", "arrival is in seconds"),
        ("{\"arrival\":\"now\",\"prompt_tokens\":1,\"output_tokens\":1}", "arrival is in seconds"),
        ("{\"arrival\":0,\"prompt_tokens\":0,\"output_tokens\":1}", "prompt_tokens is a whole number between 1 and"),
        ("{\"arrival\":0,\"prompt_tokens\":1.5,\"output_tokens\":1}", "prompt_tokens is a whole number"),
        ("{\"arrival\":0,\"prompt_tokens\":1,\"output_tokens\":99999999}", "output_tokens is a whole number"),
        ("{\"arrival\":0,\"prompt_tokens\":9223372036854775807,\"output_tokens\":1}", "prompt_tokens is a whole"),
        ("{\"arrival\":0,\"prompt_tokens\":1,\"output_tokens\":1,\"model\":\"x\"}", "'model' is no key of a request"),
        ("{\"arrival\":0,\"prompt_tokens\":1,\"output_tokens\":1,\"prefix\":\"x\"}", "prefix_tokens go together"),
        ("{\"arrival\":0,\"prompt_tokens\":1,\"output_tokens\":1,\"conversation_tokens\":1}", "without a conversation"),
        ("{\"arrival\":0,\"prompt_tokens\":1,\"output_tokens\":1,\"conversation\":[]}", "conversation is a name"),
        ("{\"arrival\":0,\"prompt_tokens\":5,\"output_tokens\":1,\"image_tokens\":6}", "than the prompt's 5"),
        (
            "{\"arrival\":0,\"prompt_tokens\":5,\"output_tokens\":1,\"image_tokens\":6,\"conversation\":1}",
            "more tokens than the prompt's 5"
        ),
        ("{\"arrival\":0,\"arrival\":1}", "not valid JSON"),
        (String(repeating: " ", count: 5000) + "{", "longer than 4096 bytes"),
    ])
    func refusesATrace(text: String, reason: String) throws {
        let error = #expect(throws: UsageError.self) { try requests(text) }
        #expect(error?.description.contains(reason) ?? false, "\(String(describing: error))")
    }

    @Test func refusesAnythingAtAll() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let count = Int.random(in: 0...200, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(throws: UsageError.self) { try RequestTrace.requests(bytes, file: "noise") }
        }
        #expect(throws: UsageError.self) { try RequestTrace.read("/nowhere/trace.jsonl") }
    }

    // MARK: Costs

    private func plan(_ words: String, length: Int = 16384) throws -> (ParallelPlan, SimulationArguments) {
        let all = words.split(separator: " ").map(String.init)
        let command = try PlanCommand.parse(["m"] + all)
        let configuration = try Shapes.autoGLM()
        let devices = try command.parallel.deviceList()
        let plan = ParallelPlan(
            configuration: configuration, tensors: configuration.tensors, devices: devices,
            share: try command.parallel.memoryShare(), size: try command.parallel.size(over: devices),
            storages: try command.parallel.storages(for: configuration), askedLength: length, cacheType: .bf16,
            rows: 512, speeds: try command.parallel.speeds(), device: command.parallel.kind)
        return (plan, command.simulation)
    }

    @Test func costsByHand() throws {
        let (one, arguments) = try plan("--devices 24GiB --bandwidth 1000 --flops 100")
        let cost = try arguments.plan(one).cost
        func near(_ found: Double, _ expected: Double) -> Bool { abs(found / expected - 1) < 1e-9 }
        // 17.559 GB of bf16 at 1 TB/s; two operations for each of 8,779.5 million weights less norms, head and biases.
        #expect(near(cost.model.step, 17.559044096e-3))
        let attention: Double = 4096 * (36 * 128 + 4096)
        let row: Double = 2 * 40 * (attention + 3 * 4096 * 13696)
        #expect(near(cost.model.row, row / 100e12))
        #expect(near(cost.model.pair, 4 * 40 * 4096 / 100e12))
        #expect(near(cost.cachedPosition, 40960 / 1e12))
        let (two, more) = try plan("--devices 2x24GiB --bandwidth 1000 --link 10 --link-latency 5 --flops 100")
        let half = try more.plan(two).cost
        // 81 all-reduces of 16 KiB sent, in two messages each.
        let sent: Double = 81 * 16384 / 1e10
        #expect(near(half.model.row, row / 200e12 + sent))
        let gathered: Double = 4 * 75776 / 1e10
        let time = try #require(try two.fit(two.storages[0], two.size).time)
        #expect(near(half.model.step, time.seconds - sent))
        #expect(time.linkSeconds - sent - gathered - 163 * 5e-6 < 1e-12)
        #expect(near(half.model.visionUnit, cost.model.visionUnit / 2))
        let (stages, third) = try plan("--devices 2x24GiB --pp 2 --bandwidth 1000 --flops 100")
        #expect(try third.plan(stages).setting().limits.stageCount == 2)
    }

    @Test func costsAsGiven() throws {
        let (one, arguments) = try plan("--devices 24GiB --cost 80,9.5,0.0004,60")
        let cost = try arguments.plan(one).cost
        #expect(cost.model.step == 0.08 && cost.model.row == 0.0095 && cost.model.visionUnit == 0.06)
        #expect(abs(cost.model.pair - 4e-7) < 1e-18 && cost.cachedPosition == 0)
    }

    @Test(arguments: [
        "--devices 24GiB --bandwidth 10", "--devices 24GiB --flops 10", "--devices 24GiB --cost 1,2,3",
        "--devices 24GiB --cost 1,2,3,x", "--devices 24GiB --cost 0,0,1,1", "--devices 24GiB --cost nan,1,1,1",
        "--devices 24GiB --cost 1,1,1,1 --flops 3", "--devices 24GiB --bandwidth 10 --flops 0",
        "--devices 24GiB --bandwidth 10 --flops fast", "--devices 24GiB --cost 1,1,1,1 --replicas 0",
        "--devices 24GiB --cost 1,1,1,1 --replicas 1001", "--devices 24GiB --cost 1,1,1,1 --max-num-seqs 0",
        "--devices 24GiB --cost 1,1,1,1 --ttft 0", "--devices 24GiB --cost 1,1,1,1 --step-target 0",
    ])
    func refusesSettings(words: String) throws {
        let (plan, arguments) = try plan(words)
        #expect(throws: UsageError.self) { try arguments.plan(plan) }
    }

    @Test(arguments: ["agents:", "agents:0", "agents:5:0", "agents:1:2:3", "agents:x", "agents:60000:20", "/nowhere"])
    func refusesLoads(text: String) throws {
        let (_, arguments) = try plan("--devices 24GiB --simulate \(text)")
        #expect(throws: UsageError.self) { try arguments.load() }
    }

    // MARK: Text

    @Test func printsWhatCameOfIt() throws {
        let (plan, arguments) = try plan(
            "--devices 24GiB -q int8 --cost 9,0.1,0,0.4 --replicas 3 --simulate agents:6:2")
        let load = try #require(try arguments.load())
        let simulation = try arguments.plan(plan)
        let text = try simulation.run(load, name: "m")
        #expect(try simulation.run(load, name: "m") == text)
        for words in [
            "m, INT8: 3 replicas of 1 rank, with 64 sequences and 297,760 tokens of KV cache each",
            "a step takes 9.00 ms, a row 0.10 ms, its look at a position 0.0 ns, a vision unit 0.40 ms",
            "requests     12 in ", " s: 12 answered, 0 refused, 0 failed", "goodput      ",
            "first token within 2 s and the others in 0.2 s each", "time to first token ", "utilisation  ",
        ] {
            #expect(text.contains(words), "\(text)")
        }
    }

    @Test func refusesWhatCannotBe() throws {
        let (small, arguments) = try plan("--devices 1GiB --cost 1,1,1,1 --simulate agents:1:1")
        let load = try #require(try arguments.load())
        #expect(throws: UsageError.self) { try arguments.plan(small).run(load, name: "m") }
    }
}
