/// What a step may still take: rows, and seconds by the cost model (D4). All the arithmetic of filling is here.
package struct StepBudget {
    package let cost: CostModel
    package private(set) var rowsLeft: Int
    /// Of these, rows of chunks: fewer in a pipeline.
    private var chunkRowsLeft = Int.max
    /// May fall below 0: decodes always go.
    package private(set) var secondsLeft: Double
    /// What the rows that are in will take.
    private var rowSeconds = 0.0
    /// Some prefill or vision work is in: what comes now must fit.
    package private(set) var hasProgress = false

    /// Costs that are negative or not numbers count as nothing: they come from a fit.
    package init(cost: CostModel, rows: Int, seconds: Double) {
        let sane = { (cost: Double) in cost.isFinite ? max(0, cost) : 0 }
        self.cost = CostModel(
            step: sane(cost.step), row: sane(cost.row), pair: sane(cost.pair), visionUnit: sane(cost.visionUnit))
        rowsLeft = rows
        secondsLeft = seconds - self.cost.step
    }

    package var isExhausted: Bool { min(rowsLeft, chunkRowsLeft) <= 0 || (hasProgress && secondsLeft <= 0) }

    /// A decode at `position`. Always granted.
    package mutating func takeDecode(position: Int) {
        takeOut(rows: 1, from: position)
    }

    /// After the decodes: prefills get what is left of `target`, a quarter of it at least, so that no number of
    /// decodes starves a prompt.
    package mutating func reserveForPrefill(target: Double) { secondsLeft = max(secondsLeft, target / 4) }

    /// In a pipeline: chunks get an even share of the `outstanding` rows of prompts, so that each of `stageCount` steps
    /// has as much to do; but not so little that its rows cost less than the step by itself.
    package mutating func sharePrefill(of outstanding: Int, over stageCount: Int) {
        let share = (outstanding + stageCount - 1) / stageCount
        let worthwhile = cost.step > 0 ? Int(min(cost.step / cost.row, 1e9).rounded(.up)) : 1
        chunkRowsLeft = max(1, share, worthwhile)
    }

    /// Rows of a chunk from `position` on: as many of `wanted` as fit, one at least if nothing else is in.
    package mutating func takeRows(wanted: Int, from position: Int) -> Int {
        let bound = min(wanted, rowsLeft, chunkRowsLeft)
        guard bound > 0 else { return 0 }
        let count = max(fitting(bound, from: position, within: secondsLeft), hasProgress ? 0 : 1)
        if count > 0 { spend(rows: count, from: position) }
        return count
    }

    /// Rows of guesses from `position` on that the step has room for, of `wanted`. While its rows take less than the
    /// step by itself, it waits for memory, and the arithmetic of a few more hides behind that; `evenIfDear` does
    /// not ask.
    package func guessRows(wanted: Int, from position: Int, evenIfDear: Bool) -> Int {
        let hidden = evenIfDear ? secondsLeft : min(secondsLeft, cost.step - rowSeconds)
        return fitting(max(0, min(wanted, rowsLeft)), from: position, within: hidden)
    }

    /// As many as `guessRows` granted, or fewer.
    package mutating func takeGuesses(_ count: Int, from position: Int) { takeOut(rows: count, from: position) }

    /// Rows from `position` on that nobody waits for, in a step that others wait for: as many of `wanted` as lengthen
    /// it by a tenth of what it costs by itself, at most.
    package mutating func takeSpareRows(wanted: Int, from position: Int) -> Int {
        let count = fitting(max(0, min(wanted, rowsLeft)), from: position, within: min(secondsLeft, cost.step / 10))
        takeOut(rows: count, from: position)
        return count
    }

    /// All `wanted` rows or none; all, whatever they cost, if nothing else is in.
    package mutating func takeWhole(_ wanted: Int, from position: Int) -> Bool {
        let fits = wanted <= rowsLeft && seconds(rows: wanted, from: position) <= secondsLeft
        guard wanted > 0, fits || !hasProgress else { return false }
        spend(rows: wanted, from: position)
        return true
    }

    /// Vision units, as many of `wanted` as fit, one at least if nothing else is in.
    package mutating func takeUnits(wanted: Int) -> Int {
        let affordable = cost.visionUnit > 0 ? Int(min(max(secondsLeft / cost.visionUnit, 0), 1e9)) : wanted
        let count = min(wanted, max(affordable, hasProgress ? 0 : 1))
        guard count > 0 else { return 0 }
        hasProgress = true
        secondsLeft -= Double(count) * cost.visionUnit
        return count
    }

    private mutating func spend(rows: Int, from position: Int) {
        hasProgress = true
        chunkRowsLeft -= rows
        takeOut(rows: rows, from: position)
    }

    private mutating func takeOut(rows: Int, from position: Int) {
        let seconds = seconds(rows: rows, from: position)
        rowsLeft -= rows
        rowSeconds += seconds
        secondsLeft -= seconds
    }

    /// Rows from `position` on, of `wanted`, that take no longer than `limit`.
    private func fitting(_ wanted: Int, from position: Int, within limit: Double) -> Int {
        var fits = 0
        var tooMany = wanted + 1
        while tooMany - fits > 1 {
            let middle = (fits + tooMany) / 2
            if seconds(rows: middle, from: position) <= limit { fits = middle } else { tooMany = middle }
        }
        return fits
    }

    private func seconds(rows: Int, from position: Int) -> Double { cost.seconds(rows: rows, from: position) }
}
