/// What the steps of a simulated replica take.
package struct StepCost: Sendable, Equatable {
    /// What its scheduler goes by.
    package var model: CostModel
    /// More for every position that a decode attends to: its keys and values are read for it alone.
    package var cachedPosition: Double
    /// Stages that a step passes in turn, each as long as the others.
    package var stageCount: Int

    package init(model: CostModel, cachedPosition: Double = 0, stageCount: Int = 1) {
        self.model = model
        self.cachedPosition = cachedPosition
        self.stageCount = stageCount
    }

    /// Of a decode at `position`, beside the step's own.
    func decode(at position: Int) -> Double {
        model.seconds(rows: 1, from: position) + cachedPosition * Double(position + 1)
    }
}
