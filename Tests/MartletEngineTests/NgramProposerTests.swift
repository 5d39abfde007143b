import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

@Suite struct NgramProposerTests {
    private func proposer(_ count: Int = 4, _ matches: ClosedRange<Int> = 2...4) -> NgramProposer {
        NgramProposer(
            SpeculationConfiguration(
                tokenCount: count, shortestMatch: matches.lowerBound, longestMatch: matches.upperBound))
    }

    @Test func whatFollowedBeforeIsGuessed() {
        var proposer = proposer()
        #expect(proposer.propose(after: [1, 2, 3, 4, 5, 6, 7, 1, 2], count: 4) == [3, 4, 5, 6])
        #expect(proposer.propose(after: [1, 2, 3, 4, 5, 6, 7, 1, 2], count: 2) == [3, 4])
        #expect(proposer.propose(after: [1, 2, 3, 4, 5, 6, 7, 1, 2], count: 0) == [])
    }

    @Test func aShortMatchIsNone() {
        var proposer = proposer()
        #expect(proposer.propose(after: [1, 2, 3, 9, 2], count: 4) == [])
        #expect(proposer.propose(after: [2], count: 4) == [])
        #expect(proposer.propose(after: [], count: 4) == [])
        #expect(proposer.propose(after: [2, 2], count: 4) == [])
    }

    @Test func theLongestMatchWinsAndThenTheLatest() {
        var first = proposer()
        #expect(first.propose(after: [7, 1, 2, 30, 8, 1, 2, 40, 7, 1, 2], count: 1) == [30])
        var second = proposer(4, 2...2)
        #expect(second.propose(after: [7, 1, 2, 30, 8, 1, 2, 40, 7, 1, 2], count: 1) == [40])
    }

    @Test func aGuessGoesOnPastTheEnd() {
        var proposer = proposer()
        #expect(proposer.propose(after: [1, 5, 5, 5], count: 4) == [5, 5, 5, 5])
        #expect(proposer.propose(after: [1, 5, 5, 5, 3, 4, 3, 4], count: 3) == [3, 4, 3])
    }

    @Test func theReachFollowsWhatWasRight() {
        var proposer = proposer(8)
        #expect(proposer.reach == 8)
        proposer.learn(accepted: 0)
        #expect(proposer.propose(after: [1, 2, 3, 4, 1, 2], count: 8) == [3])
        proposer.learn(accepted: 1)
        #expect(proposer.reach == 3)
        proposer.learn(accepted: 3)
        #expect(proposer.reach == 7)
        proposer.learn(accepted: 7)
        #expect(proposer.reach == 8)
    }

    /// Against a search through the whole text, while it grows a few tokens at a time.
    @Test(arguments: UInt64(0)..<20) func growingTextsGiveWhatASearchGives(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let shortest = Int.random(in: 1...3, using: &random)
        let longest = shortest + Int.random(in: 0...3, using: &random)
        var proposer = proposer(5, shortest...longest)
        var text: [TokenID] = []
        while text.count < 120 {
            for _ in 0..<Int.random(in: 1...5, using: &random) { text.append(.random(in: 0..<12, using: &random)) }
            // Few places are like the end, so that the search among the latest of them is a search among all.
            let found = proposer.propose(after: text, count: 5)
            let expected = Self.search(text, shortest...longest)
            if expected.isRare { #expect(found == expected.guess, "seed \(seed), \(text)") }
        }
    }

    private static func search(_ text: [TokenID], _ matches: ClosedRange<Int>) -> (guess: [TokenID], isRare: Bool) {
        func places(_ length: Int) -> [Int] {
            guard text.count > length else { return [] }
            return (length..<text.count).filter { Array(text[($0 - length)..<$0]) == Array(text.suffix(length)) }
        }
        let isRare = places(matches.lowerBound).count < 8
        for length in matches.reversed() {
            guard let place = places(length).last else { continue }
            var whole = text
            for index in 0..<5 { whole.append(whole[place + index]) }
            return (Array(whole.suffix(5)), isRare)
        }
        return ([], isRare)
    }
}
