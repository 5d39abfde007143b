/// A launched step, until it is collected.
struct StepRecord {
    let plan: StepPlan
    let members: [StepMember]
    /// Whose the result's rows are, in its order.
    let rowOwners: [TokenSequence]
    /// The slots of `rowOwners`.
    let rowSlots: [Slot]
}
