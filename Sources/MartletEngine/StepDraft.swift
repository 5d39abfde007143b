/// A plan while it is being filled.
struct StepDraft {
    var plan: StepPlan
    var budget: StepBudget
    private(set) var members: [StepMember] = []
    private(set) var chunkOwners: [TokenSequence] = []
    private(set) var decodeOwners: [TokenSequence] = []
    /// Blocks ran out: nobody new comes in.
    var hasPreempted = false

    init(index: UInt64, budget: StepBudget) {
        plan = StepPlan(index: index)
        self.budget = budget
    }

    var hasWork: Bool { !(plan.chunks.isEmpty && plan.decodes.isEmpty && plan.visionWork.isEmpty) }

    /// The next position of `sequence` decodes.
    mutating func addDecode(_ sequence: TokenSequence, slot: Slot) {
        plan.decodes.append(SlotDecode(slot: slot))
        decodeOwners.append(sequence)
        // Decodes come first and once: nobody has named it yet.
        members.append(StepMember(sequence: sequence, end: sequence.plannedCount + 1, samples: true))
    }

    /// What its result will hold.
    var rows: [StepRow] {
        let chunks = zip(chunkOwners, plan.chunks.lazy.filter(\.samples)).map {
            StepRow(owner: $0, slot: $1.slot, guesses: [])
        }
        return chunks
            + zip(decodeOwners, plan.decodes).map { StepRow(owner: $0, slot: $1.slot, guesses: $1.guesses) }
    }

    /// Rows up to `end` of `sequence` are prefilled.
    mutating func addChunk(_ sequence: TokenSequence, slot: Slot, end: Int) {
        let samples = end == sequence.admittedCount
        plan.chunks.append(PrefillChunk(slot: slot, range: sequence.plannedCount..<end, samples: samples))
        if samples { chunkOwners.append(sequence) }
        name(sequence, end: end, samples: samples)
    }

    /// The plan names `sequence`, with or without rows: it shares the step's fate.
    mutating func name(_ sequence: TokenSequence, end: Int, samples: Bool) {
        if let known = members.firstIndex(where: { $0.sequence === sequence }) {
            members[known] = StepMember(sequence: sequence, end: end, samples: samples)
        } else {
            members.append(StepMember(sequence: sequence, end: end, samples: samples))
        }
    }
}
