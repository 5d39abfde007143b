import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

@Suite struct StepPlanCodingTests {
    @Test func anEmptyPlanSurvives() throws {
        let plan = StepPlan(index: 7)
        #expect(try StepPlan(decoding: plan.encoded()) == plan)
    }

    @Test(arguments: 0..<200) func everyFieldSurvives(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let plan = StepPlan.random(using: &random)
        let bytes = try plan.encoded()
        let decoded = try StepPlan(decoding: bytes)
        #expect(decoded == plan)
        #expect(try decoded.encoded() == bytes)
        let result = StepResult.random(using: &random)
        #expect(try StepResult(decoding: result.encoded()) == result)
    }

    @Test func everyTruncationIsRefused() throws {
        var random = SeededGenerator(seed: 3)
        let bytes = try StepPlan.random(using: &random).encoded()
        for count in 0..<bytes.count {
            #expect(throws: PlanCodingError.self) { try StepPlan(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: PlanCodingError.trailingBytes(count: 1)) { try StepPlan(decoding: bytes + [0]) }
    }

    /// Wrong bytes give a typed error or another plan: never a trap, never more memory than they pay for.
    @Test(arguments: 0..<40) func mutationsNeverTrap(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let plan = try StepPlan.random(using: &random).encoded()
        let result = try StepResult.random(using: &random).encoded()
        for _ in 0..<200 {
            var mutant = plan
            var other = result
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                mutant[Int.random(in: 8..<mutant.count, using: &random)] = [0, 1, 0x7F, 0xFF].randomElement(
                    using: &random)!
                other[Int.random(in: 8..<other.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            do throws(PlanCodingError) {
                let decoded = try StepPlan(decoding: mutant)
                #expect(decoded.admissions.count <= mutant.count)
            } catch {}
            do throws(PlanCodingError) { _ = try StepResult(decoding: other) } catch {}
        }
    }

    @Test func anotherVersionIsRefused() throws {
        var bytes = try StepPlan(index: 1).encoded()
        bytes[3] = 9
        #expect(throws: PlanCodingError.unknownFormat(0x0950_534D)) { try StepPlan(decoding: bytes) }
        #expect(throws: PlanCodingError.self) { try StepPlan(decoding: StepResult(index: 1, rows: []).encoded()) }
    }

    @Test func aLyingCountAllocatesNothing() throws {
        var bytes = try StepPlan(index: 1).encoded()
        // The count of `releases` follows format, length and index.
        bytes.replaceSubrange(16..<20, with: [0xFF, 0xFF, 0xFF, 0x7F])
        #expect(throws: PlanCodingError.truncated(field: "releases")) { try StepPlan(decoding: bytes) }
    }

    @Test func reversedRangesAreRefused() throws {
        var plan = StepPlan(index: 1)
        plan.chunks = [PrefillChunk(slot: 0, range: 3..<5, samples: true)]
        var bytes = try plan.encoded()
        let lower = bytes.count - 4 - 4 - 1 - 8
        #expect(bytes[lower] == 3)
        bytes[lower] = 6
        #expect(throws: PlanCodingError.invalid(field: "range")) { try StepPlan(decoding: bytes) }
    }
}
