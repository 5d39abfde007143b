/// A launched step, until it is collected.
struct StepRecord {
    let plan: StepPlan
    let members: [StepMember]
    /// What its result will hold, in that order.
    let rows: [StepRow]

    /// Whether `result` can be this step's.
    func fits(_ result: StepResult) -> Bool {
        plan.index == result.index && rows.count == result.rows.count
            && zip(rows, result.rows).allSatisfy { $0.fits($1) }
    }
}
