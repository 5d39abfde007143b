import MartletText
import Testing

/// Against what Open-AutoGLM's client does with an answer (API.md 3.2).
@Suite struct AgentStepTests {
    @Test(arguments: [
        ("I tap. do(action=\"Back\")", "<think>I tap.</think><answer>do(action=\"Back\")</answer>", true),
        ("do(action=\"Back\")\n", "<think></think><answer>do(action=\"Back\")\n</answer>", true),
        (
            "<think>a</think>\n<answer>do(action=\"Back\")",
            "<think><think>a</think>\n<answer></think><answer>do(action=\"Back\")</answer>", true
        ),
        ("do(action=1) do(action=2)", "<think></think><answer>do(action=1) do(action=2)</answer>", true),
        ("<think> a </think> <answer>b</answer>", "<think>a</think><answer>b</answer>", false),
        ("no tags", "<think></think><answer>no tags</answer>", false),
        ("", "<think></think><answer></answer>", false),
    ]) func isPutTogetherAgain(answer: String, rebuilt: String, acts: Bool) {
        let step = AgentStep(answer)
        #expect(step.rebuilt == rebuilt)
        #expect(step.acts == acts && !step.ends)
        #expect(AgentStep.isRebuilt(step.rebuilt))
    }

    @Test func anEndWinsOverAnAction() {
        let step = AgentStep("first do(action=\"Back\") then finish(message=\"done\")")
        #expect(step.ends && !step.acts)
        #expect(
            step.rebuilt == "<think>first do(action=\"Back\") then</think><answer>finish(message=\"done\")</answer>")
    }

    @Test func aTurnAsTheServerSentItIsNotRebuilt() {
        #expect(!AgentStep.isRebuilt("<think>a</think><answer>do(action=\"Back\")"))
    }
}
