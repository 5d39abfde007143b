import Foundation
import Testing

@testable import MartletCommand

@Suite struct QualityBenchTests {
    /// Two rows worked out by hand.
    @Test func sumsAreMeans() {
        var sums = QualityBench.Sums()
        // Halves beside a quarter and three quarters.
        sums.add([0, 0], [0, log(3)], next: 1)
        // The same distribution, whatever the logits' common part.
        sums.add([9, 9 + log(3)], [-5, -5 + log(3)], next: 0)
        let found = sums.finding
        #expect(found.tokens == 2)
        #expect(abs(found.basePerplexity - 8.0.squareRoot()) < 1e-5)
        #expect(abs(found.perplexity - (16.0 / 3).squareRoot()) < 1e-5)
        let divergence = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75)
        #expect(abs(found.divergence - divergence / 2) < 1e-6)
        #expect(found.agreement == 0.5)
    }

    @Test func nothingIsNoFinding() { #expect(QualityBench.Sums().finding == QualityBench.Finding()) }
}
