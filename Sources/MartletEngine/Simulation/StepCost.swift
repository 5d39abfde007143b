/// What the steps of a simulated replica take.
package struct StepCost: Sendable, Equatable {
    /// What its scheduler goes by.
    package var model: CostModel
    /// More for every position that a decode attends to: its keys and values are read for it alone.
    package var cachedPosition: Double

    package init(model: CostModel, cachedPosition: Double = 0) {
        self.model = model
        self.cachedPosition = cachedPosition
    }

    /// Of a decode at `position`, beside the step's own.
    func decode(at position: Int) -> Double {
        model.seconds(rows: 1, from: position) + cachedPosition * Double(position + 1)
    }
}
