import MartletEngine

/// Floating-point operations of each kind of work of one model.
package struct RunnerWorkload: Sendable, Equatable {
    package let operationsPerRow, operationsPerPair, operationsPerVisionUnit: Double

    package init(_ footprint: ModelFootprint, visionStripRows: Int) {
        operationsPerRow = footprint.operationsPerRow
        operationsPerPair = footprint.operationsPerPair
        operationsPerVisionUnit = footprint.operationsPerVisionUnit(stripRows: visionStripRows)
    }

    /// What work costs where arithmetic is the limit.
    package func costModel(operationsPerSecond rate: Double) -> CostModel {
        CostModel(
            step: 0, row: operationsPerRow / rate, pair: operationsPerPair / rate,
            visionUnit: operationsPerVisionUnit / rate)
    }
}
