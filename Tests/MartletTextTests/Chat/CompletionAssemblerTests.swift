import Testing

@testable import MartletText

@Suite struct CompletionAssemblerTests {
    private static func run(
        _ pieces: [String], _ options: CompletionAssembler.Options
    ) -> (content: String, reasoning: String, ending: CompletionAssembler.Ending?) {
        var assembler = CompletionAssembler(options)
        let deltas = pieces.flatMap { assembler.append($0) } + assembler.finish()
        #expect(!deltas.contains { $0.isEmpty })
        return (deltas.map(\.content).joined(), deltas.map(\.reasoning).joined(), assembler.ending)
    }

    private static func options(
        _ mode: ReasoningMode = .inContent, stops: [String] = [], includes: Bool = false, start: OutputStart = .fresh
    ) -> CompletionAssembler.Options {
        var options = CompletionAssembler.Options()
        options.stops = stops
        options.includesStop = includes
        options.reasoning = mode
        options.answerTags = true
        options.start = start
        return options
    }

    @Test func streamsDeltaByDelta() {
        var assembler = CompletionAssembler(Self.options(.separate, stops: ["END"]))
        #expect(assembler.append("<thi") == [])
        #expect(assembler.append("nk>look") == [CompletionDelta(reasoning: "look")])
        #expect(assembler.append(" at</think>\n<answer>do") == [CompletionDelta(content: "do", reasoning: " at")])
        #expect(assembler.append("(x)E") == [CompletionDelta(content: "(x)")])
        #expect(assembler.append("N") == [])
        #expect(assembler.ending == nil)
        #expect(assembler.append("X") == [CompletionDelta(content: "ENX")])
        #expect(assembler.append("</answer>") == [])
        #expect(assembler.ending == .answerClosed)
        #expect(assembler.append("more") == [])
        #expect(assembler.finish() == [])
    }

    @Test func goesOnPastTheAnswerWhenEndsAreIgnored() {
        var options = Self.options(.inContent)
        options.ignoresAnswerEnd = true
        let text = "<answer>do(x)</answer>more"
        #expect(Self.run([text], options) == (text, "", nil))
        options.reasoning = .separate
        #expect(Self.run(["<think>a</think>", text], options) == ("do(x)</answer>more", "a", nil))
    }

    @Test func stopStringsSeeTheRawOutput() {
        let text = "<think>a</think>\n<answer>do(x)</answer>"
        #expect(Self.run([text], Self.options(.separate, stops: ["</think>"])) == ("", "a", .stopString("</think>")))
        let kept = Self.run([text], Self.options(.inContent, stops: ["</think>"], includes: true))
        #expect(kept == ("<think>a</think>", "", .stopString("</think>")))
        #expect(Self.run([text], Self.options(.inContent)) == ("<think>a</think>\n<answer>do(x)", "", .answerClosed))
        // Even asked for, it is never emitted.
        let stray = Self.run([text], Self.options(.inContent, stops: ["</answer>"], includes: true))
        #expect(stray.content == "<think>a</think>\n<answer>do(x)")
    }

    @Test func anEndingFlushesWhatWasHeldBack() {
        #expect(Self.run(["a </ans", "STOP"], Self.options(stops: ["STOP"])) == ("a </ans", "", .stopString("STOP")))
        #expect(Self.run(["a </ans"], Self.options(stops: ["STOP"])) == ("a </ans", "", nil))
        #expect(Self.run(["a ST"], Self.options(.separate, stops: ["STOP"])) == ("a ST", "", nil))
    }

    @Test func startsWhereThePromptEnds() {
        let result = Self.run(["do(x)</answer>"], Self.options(.separate, start: .answering))
        #expect(result == ("do(x)", "", .answerClosed))
    }

    @Test func cutsDoNotMatter() {
        var random = SeededGenerator(state: 3)
        for (output, _, _) in ReasoningParserTests.transcripts {
            for mode in [ReasoningMode.inContent, .separate, .drop] {
                for stops in [[], ["\n"], ["Tap", "</think>\n"], ["<answer>do"], ["k</th", "ok<"]] {
                    let options = Self.options(mode, stops: stops)
                    let whole = Self.run([output], options)
                    for _ in 0..<8 {
                        #expect(Self.run(output.pieces(using: &random), options) == whole, "\(output) \(stops)")
                    }
                }
            }
        }
    }
}
