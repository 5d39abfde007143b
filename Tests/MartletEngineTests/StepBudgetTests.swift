import MartletEngine
import Testing

@Suite struct StepBudgetTests {
    private func budget(
        step: Double = 0, row: Double = 0, pair: Double = 0, unit: Double = 0, rows: Int = 100, seconds: Double = 10
    ) -> StepBudget {
        StepBudget(
            cost: CostModel(step: step, row: row, pair: pair, visionUnit: unit), rows: rows, seconds: seconds)
    }

    @Test func rowsAreBoundedByRowsAndTime() {
        var byRows = budget(rows: 7)
        #expect(byRows.takeRows(wanted: 9, from: 0) == 7 && byRows.isExhausted)
        var byTime = budget(step: 2, row: 1)
        #expect(byTime.takeRows(wanted: 9, from: 0) == 8)
        #expect(byTime.takeRows(wanted: 9, from: 8) == 0)
    }

    @Test func theFirstAlwaysMovesAndOnlyTheFirst() {
        var rows = budget(row: 99)
        #expect(rows.takeRows(wanted: 5, from: 0) == 1)
        #expect(rows.takeRows(wanted: 5, from: 0) == 0 && rows.takeUnits(wanted: 0) == 0)
        var units = budget(unit: 99)
        #expect(units.takeUnits(wanted: 5) == 1)
        #expect(units.takeUnits(wanted: 5) == 0)
    }

    @Test func wholePromptsGoWholeOrNotAtAll() {
        var budget = budget(row: 1)
        let first = budget.takeWhole(6, from: 0)
        let second = budget.takeWhole(5, from: 0)
        let third = budget.takeWhole(4, from: 0)
        #expect(first && !second && third)
        var narrow = self.budget(row: 1, rows: 2)
        let long = narrow.takeWhole(50, from: 0)
        let next = narrow.takeWhole(1, from: 0)
        #expect(long && !next, "a prompt longer than any step goes alone")
    }

    @Test func chunksCostAsMuchAsTheirRowsOneByOne() {
        var whole = budget(row: 0.01, pair: 0.001)
        var pieces = whole
        _ = whole.takeRows(wanted: 30, from: 5)
        for position in 5..<35 { _ = pieces.takeRows(wanted: 1, from: position) }
        #expect(abs(whole.secondsLeft - pieces.secondsLeft) < 1e-9)
    }

    @Test(arguments: [Double.nan, .infinity, -1]) func aBrokenFitTrapsNothing(cost: Double) {
        var budget = budget(step: cost, row: cost, pair: cost, unit: cost)
        #expect(budget.takeRows(wanted: 3, from: 0) == 3 && budget.takeUnits(wanted: 3) == 3)
    }
}
