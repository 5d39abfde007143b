import Testing

@testable import MartletText

@Suite struct ReasoningParserTests {
    static func run(
        _ pieces: [String], _ mode: ReasoningMode, answerTags: Bool = true, start: OutputStart = .fresh
    ) -> CompletionDelta {
        var parser = ReasoningParser(mode: mode, answerTags: answerTags, start: start)
        var result = CompletionDelta()
        for piece in pieces {
            let delta = parser.append(piece)
            result.content += delta.content
            result.reasoning += delta.reasoning
        }
        let delta = parser.finish()
        return CompletionDelta(content: result.content + delta.content, reasoning: result.reasoning + delta.reasoning)
    }

    private static let action = #"do(action="Tap", element=[1,2])"#

    /// What the family writes, and what must come of it: (output, content, reasoning).
    static let transcripts: [(String, String, String)] = [
        ("<think>look</think>\n<answer>\(action)", action, "look"),
        ("<think>look</think><answer>\(action)</answer>", action, "look"),
        ("<think>look</think><answer>\(action)</answer> and more <think>x", action, "look"),
        ("<think>\nlook\ntwice\n</think>\n<answer>\n\(action)\n</answer>", action, "look\ntwice"),
        ("<think>look</think>\n\n\(action)", action, "look"),
        ("<think>look<answer>\(action)", action, "look"),
        ("look</think><answer>\(action)", "look\(action)", ""),
        ("thoughts \(action)", "thoughts \(action)", ""),
        ("<answer>\(action)</answer>", action, ""),
        ("<think></think><answer>x</answer>", "x", ""),
        ("<think>only", "", "only"),
        ("<think>only </thin", "", "only </thin"),
        ("<think>a < b <tag> </</think>c </answe", "c </answe", "a < b <tag> </"),
        ("<answer>Type(\"<think> and <answer>\")", "Type(\"<think> and <answer>\")", ""),
        ("<think>a</think>b<think>c</think>d", "b<think>c</think>d", "a"),
        ("  leading\n<think>a</think> b \n", "  leadingb \n", "a"),
        ("<think>你好</think>\n<answer>世界 👍", "世界 👍", "你好"),
        ("", "", ""),
        ("</answer>", "", ""),
        ("<<think>a<</think>>b", "<>b", "a<"),
    ]

    @Test func separates() {
        for (output, content, reasoning) in Self.transcripts {
            #expect(
                Self.run([output], .separate) == CompletionDelta(content: content, reasoning: reasoning), "\(output)")
            #expect(Self.run([output], .drop) == CompletionDelta(content: content), "\(output)")
        }
    }

    @Test func leavesThoughtsInContentForTheAgent() {
        for (output, _, _) in Self.transcripts {
            let expected = PythonText.split(output, by: "</answer>", limit: 1)[0]
            #expect(Self.run([output], .inContent) == CompletionDelta(content: expected))
        }
    }

    @Test func knowsWhatThePromptLeftOpen() {
        let thought = Self.run(["look</think><answer>x"], .separate, start: .thinking)
        #expect(thought == CompletionDelta(content: "x", reasoning: "look"))
        let answer = Self.run(["<answer>x</answer>y"], .separate, start: .answering)
        #expect(answer == CompletionDelta(content: "<answer>x"))
        #expect(Self.run(["look</think>x"], .inContent, start: .thinking).content == "look</think>x")
    }

    @Test func otherModelsMayWriteAboutAnswers() {
        let text = "<think>a</think><answer>x</answer> is a tag"
        let delta = Self.run([text], .separate, answerTags: false)
        #expect(delta == CompletionDelta(content: "<answer>x</answer> is a tag", reasoning: "a"))
        #expect(Self.run([text], .inContent, answerTags: false).content == text)
    }

    @Test func tellsWhenTheAnswerIsOver() {
        var parser = ReasoningParser(mode: .inContent, answerTags: true)
        #expect(parser.append("do(x)</ans") == CompletionDelta(content: "do(x)"))
        #expect(!parser.isAnswerClosed)
        #expect(parser.append("wer>junk") == CompletionDelta())
        #expect(parser.isAnswerClosed)
        #expect(parser.append("more") == CompletionDelta())
        #expect(parser.finish() == CompletionDelta())
    }

    /// Every transcript, in every mode, cut at every place and in random pieces.
    @Test func cutsDoNotMatter() {
        var random = SeededGenerator(state: 2)
        for mode in [ReasoningMode.inContent, .separate, .drop] {
            for start in [OutputStart.fresh, .thinking, .answering] {
                for (output, _, _) in Self.transcripts {
                    let whole = Self.run([output], mode, start: start)
                    let scalars = Array(output.unicodeScalars)
                    for cut in 0...scalars.count {
                        let halves = [scalars[..<cut], scalars[cut...]].map { String(String.UnicodeScalarView($0)) }
                        #expect(Self.run(halves, mode, start: start) == whole, "\(output) cut at \(cut)")
                    }
                    for _ in 0..<10 {
                        #expect(Self.run(output.pieces(using: &random), mode, start: start) == whole, "\(output)")
                    }
                }
            }
        }
    }
}
