import MartletEngine
import Testing

@Suite struct StepProgressTests {
    private struct Fault: Error, Equatable {}

    @Test func timeInsideForwardWorkAddsUp() throws {
        let progress = StepProgress()
        #expect(progress.forwardSeconds == 0)
        #expect(progress.forward { (0..<1000).reduce(0, +) } == 499_500)
        let first = progress.forwardSeconds
        #expect(first > 0)
        // Work that fails took its time too.
        #expect(throws: Fault()) { try progress.forward { throw Fault() } }
        #expect(progress.forwardSeconds > first)
    }
}
