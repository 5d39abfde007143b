import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// Transcripts: what comes, and where it goes.
@Suite struct ReplicaChooserTests {
    private static let blockSize = 4

    private func chooser(_ count: Int, keyLimit: Int = 1000) -> ReplicaChooser {
        ReplicaChooser(replicaCount: count, blockSize: Self.blockSize, keyLimit: keyLimit)
    }

    private func work(
        _ tokens: [TokenID], maxTokens: Int = 8, choices: Int = 1, salt: String = ""
    ) -> ReplicaChooser.Work {
        work(Prompt(tokens: tokens), maxTokens: maxTokens, choices: choices, salt: salt)
    }

    private func work(
        _ prompt: Prompt, maxTokens: Int = 8, choices: Int = 1, salt: String = ""
    ) -> ReplicaChooser.Work {
        ReplicaChooser.Work(
            keys: BlockKey.chain(of: prompt, blockSize: Self.blockSize, modelIdentity: "m", salt: salt),
            promptTokens: prompt.tokens.count, maxTokens: maxTokens, choiceCount: choices)
    }

    private func choose(_ work: ReplicaChooser.Work, _ chooser: inout ReplicaChooser) throws -> ReplicaChooser.Choice {
        let choice = chooser.choose(work)
        return try #require(choice)
    }

    /// Tokens that no other `kind` has.
    private func tokens(_ kind: Int, _ count: Int) -> [TokenID] { (0..<count).map { TokenID(kind * 1000 + $0) } }

    @Test func equalsTakeTurns() throws {
        var chooser = chooser(3)
        let found = (0..<7).map { chooser.choose(work(tokens($0, 6)))?.replica }
        #expect(found == [0, 1, 2, 0, 1, 2, 0])
    }

    @Test func theLeastBusyComesFirst() throws {
        var chooser = chooser(3)
        let large = try choose(work(tokens(0, 100)), &chooser)
        #expect(large == .init(replica: 0, promptTokens: 100, outputTokens: 8))
        #expect(chooser.outstandingTokens(of: 0) == 108)
        let found = (1..<5).map { chooser.choose(work(tokens($0, 20)))?.replica }
        #expect(found == [1, 2, 1, 2])
        // Its prompt is computed: 8 tokens are left, against 56.
        chooser.notePrefilled(large)
        #expect(chooser.choose(work(tokens(5, 20)))?.replica == 0)
        chooser.noteEnded(large, isPrefilled: true)
        #expect(chooser.outstandingTokens(of: 0) == 28)
    }

    @Test func aPrefixDrawsItsOwn() throws {
        var chooser = chooser(4)
        var ended: [ReplicaChooser.Choice] = []
        for kind in 0..<4 { ended.append(try choose(work(tokens(kind, 40)), &chooser)) }
        for choice in ended { chooser.noteEnded(choice, isPrefilled: false) }
        for (turn, kind) in [2, 0, 3, 3, 1].enumerated() {
            let choice = try choose(work(tokens(kind, 40) + tokens(10 + turn, 5)), &chooser)
            #expect(choice.replica == kind && choice.promptTokens == 5)
            chooser.noteEnded(choice, isPrefilled: false)
        }
        // Another salt is another prompt: it takes its turn.
        #expect(chooser.choose(work(tokens(3, 40), salt: "tenant"))?.replica == 2)
    }

    @Test func aBusyReplicaGivesUpWhatThePrefixDoesNotSave() throws {
        var chooser = chooser(2)
        let first = try choose(work(tokens(0, 40)), &chooser)
        chooser.noteEnded(first, isPrefilled: false)
        // 40 tokens are saved there, and 30 + 8 are ahead of it: still worth it.
        let other = try choose(work(tokens(0, 40) + tokens(1, 30)), &chooser)
        #expect(other.replica == 0 && other.promptTokens == 30)
        let second = try choose(work(tokens(0, 40) + tokens(2, 1)), &chooser)
        #expect(second.replica == 0)
        // Now 47: more than 40.
        let third = try choose(work(tokens(0, 40) + tokens(3, 1)), &chooser)
        #expect(third == .init(replica: 1, promptTokens: 41, outputTokens: 8))
        // Both have the prefix: the less busy of them.
        #expect(chooser.choose(work(tokens(0, 40) + tokens(4, 1)))?.replica == 0)
        #expect(chooser.choose(work(tokens(0, 40) + tokens(5, 1)))?.replica == 1)
    }

    /// Three phone agents on two replicas: a step's prompt is the system prompt, all that was said, and a new picture.
    @Test func aGrowingConversationStays() throws {
        var chooser = chooser(2)
        let system = tokens(0, 24)
        var history = (1...3).map { _ in [TokenID]() }
        var homes: [Int: Int] = [:]
        var cached = 0
        for step in 0..<20 {
            for agent in 0..<3 {
                let picture = PreparedImage.tiny(rows: 4, columns: 4, seed: UInt8(step * 3 + agent))
                let before = system + history[agent]
                let prompt = Prompt(
                    tokens: before + [TokenID](repeating: 999, count: 16) + tokens(8, 4),
                    images: [PlacedImage(image: picture, offset: before.count)])
                let choice = try choose(work(prompt), &chooser)
                if step == 0 { homes[agent] = choice.replica } else { #expect(choice.replica == homes[agent]) }
                if step > 0 { cached += prompt.tokens.count - choice.promptTokens }
                chooser.notePrefilled(choice)
                chooser.noteEnded(choice, isPrefilled: true)
                history[agent] += tokens(10 * (agent + 1) + step, 8)
            }
        }
        #expect(Set(homes.values).count == 1, "one at a time, all find the system prompt at the same place")
        // All that the last step had before its picture.
        #expect(cached == 3 * (0..<19).reduce(0) { $0 + 24 + 8 * $1 })
        #expect(chooser.outstandingTokens(of: 0) == 0 && chooser.outstandingTokens(of: 1) == 0)
    }

    @Test func picturesAreDistinguished() throws {
        var chooser = chooser(2)
        func prompt(_ seed: UInt8) -> Prompt {
            Prompt(
                tokens: [TokenID](repeating: 999, count: 16) + tokens(1, 4),
                images: [PlacedImage(image: .tiny(rows: 4, columns: 4, seed: seed), offset: 0)])
        }
        let one = try choose(work(prompt(1)), &chooser), two = try choose(work(prompt(2)), &chooser)
        #expect(one.replica == 0 && two.replica == 1)
        for choice in [one, two] { chooser.noteEnded(choice, isPrefilled: false) }
        #expect(chooser.choose(work(prompt(2)))?.replica == 1)
        #expect(chooser.choose(work(prompt(1)))?.replica == 0)
    }

    @Test func choicesShareThePrompt() throws {
        var chooser = chooser(2)
        let choice = try choose(work(tokens(0, 10), maxTokens: 5, choices: 4), &chooser)
        #expect(choice.promptTokens == 10 && choice.outputTokens == 20)
        // What is allowed and never used does not count.
        let agent = try choose(work(tokens(1, 10), maxTokens: 3000), &chooser)
        #expect(agent.outputTokens == 256)
    }

    @Test func whoIsFullOrGoneIsLeftOut() throws {
        var chooser = chooser(3)
        let first = try choose(work(tokens(0, 40)), &chooser)
        chooser.noteEnded(first, isPrefilled: false)
        #expect(chooser.choose(work(tokens(0, 40)), excluding: [0])?.replica == 1)
        #expect(chooser.choose(work(tokens(0, 40)), excluding: [0, 1])?.replica == 2)
        #expect(chooser.choose(work(tokens(0, 40)), excluding: [0, 1, 2]) == nil)
    }

    @Test func memoryIsBounded() throws {
        var chooser = chooser(2, keyLimit: 20)
        var random = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let kind = Int.random(in: 0..<50, using: &random)
            let choice = try choose(work(tokens(kind, .random(in: 1...200, using: &random))), &chooser)
            chooser.noteEnded(choice, isPrefilled: false)
            #expect(chooser.keyCount <= 40)
        }
        #expect(chooser.keyCount == 40)
    }

    /// What is forgotten first is the oldest, and of a chain its end.
    @Test func theOldestIsForgotten() {
        func chain(_ kind: Int, _ blocks: Int) -> [BlockKey] { work(tokens(kind, 4 * blocks)).keys }
        var keys = RecentKeys(limit: 6)
        keys.note(chain(0, 3))
        keys.note(chain(1, 3))
        keys.note(chain(0, 1))
        keys.note(chain(2, 2))
        // Gone are the last and the middle block of the first chain; its head was noted again.
        #expect(chain(0, 3).map(keys.contains) == [true, false, false])
        #expect(chain(1, 3).map(keys.contains) == [true, true, true])
        #expect(chain(2, 2).map(keys.contains) == [true, true])
        keys.note(chain(3, 9))
        #expect(chain(3, 9).count(where: keys.contains) == 6 && keys.count == 6)
    }

    @Test func whatIsComputedAheadGoesWhereItsBeginningIs() throws {
        var chooser = chooser(3)
        for kind in 0..<3 {
            let choice = try choose(work(tokens(kind, 12)), &chooser)
            chooser.noteEnded(choice, isPrefilled: false)
        }
        let next = tokens(1, 12) + tokens(7, 8)
        #expect(chooser.chooseAhead(work(next).keys) == 1)
        #expect(chooser.chooseAhead(work(tokens(9, 12)).keys) == nil)
        #expect(chooser.choose(work(next + tokens(8, 4)))?.promptTokens == 4)
    }
}
