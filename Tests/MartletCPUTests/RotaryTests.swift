import Foundation
import MartletTensor
import Testing

@testable import MartletCPU

@Suite struct RotaryTests {
    /// Two frequencies on T, one on H, one on W.
    static let inverseFrequency: [Float] = [1, 0.1, 0.01, 0.001]

    private func positions(_ rows: [(Int32, Int32, Int32)]) -> RotaryPositions {
        rows.reduce(into: RotaryPositions()) { $0.append(t: $1.0, h: $1.1, w: $1.2) }
    }

    @Test(arguments: CPUKernels.available)
    func tableTakesEachFrequencyFromItsAxis(isa: String) throws {
        let backend = try CPUBackend(threads: 2, isa: isa)
        let rotary = RotaryConfiguration(
            pairing: .interleaved, inverseFrequency: Self.inverseFrequency, axis: [0, 0, 1, 2])
        let rows: [(Int32, Int32, Int32)] = [(0, 0, 0), (3, 50, 700), (65535, 65535, 65535), (7, 1, 2)]
        let table = try backend.makeActivation(rows: rows.count, width: 8)
        backend.rotaryTable(rotary, positions: positions(rows), into: table)
        let truth = rows.flatMap { row -> [Double] in
            let axes = [row.0, row.0, row.1, row.2]
            let angles = zip(axes, Self.inverseFrequency).map { Double(Float($0) * $1) }
            return angles.map { cos($0) } + angles.map { sin($0) }
        }
        #expect(backend.read(table).error(from: truth, scale: 1) < 6e-8)
    }

    @Test(arguments: CPUKernels.available, [RotaryPairing.interleaved, .halfSplit])
    func rotateTurnsPairsAndPassesTheRest(isa: String, pairing: RotaryPairing) throws {
        var numbers = SeededValues(2)
        for (dimension, pairs) in [(12, 4), (6, 3), (64, 32), (128, 32), (40, 11)] {
            let rows = 5, headCount = 3, width = headCount * dimension + 2
            let values = numbers.floats(rows * width), angles = numbers.floats(rows * pairs, scale: 7)
            let table = (0..<rows).flatMap { row in
                let angles = angles[row * pairs..<(row + 1) * pairs]
                return angles.map { Foundation.cos($0) } + angles.map { Foundation.sin($0) }
            }
            func run(_ isa: String) throws -> [Float] {
                let backend = try CPUBackend(threads: 2, isa: isa)
                let x = try backend.activation(values, width: width, padding: 1)
                let t = try backend.activation(table, width: 2 * pairs)
                backend.rotate(x, headCount: headCount, dimension: dimension, table: t, pairing: pairing)
                return backend.read(x)
            }
            var truth = values.map(Double.init)
            for row in 0..<rows {
                for head in 0..<headCount {
                    for j in 0..<pairs {
                        let base = row * width + head * dimension
                        let first = base + (pairing == .interleaved ? 2 * j : j)
                        let second = base + (pairing == .interleaved ? 2 * j + 1 : j + pairs)
                        let c = Double(table[row * 2 * pairs + j]), s = Double(table[row * 2 * pairs + pairs + j])
                        (truth[first], truth[second]) = (
                            truth[first] * c - truth[second] * s, truth[second] * c + truth[first] * s
                        )
                    }
                }
            }
            #expect(try run(isa).error(from: truth) < 2e-7, "dimension \(dimension)")
            #expect(try run(isa).bitPatterns == run("scalar").bitPatterns, "dimension \(dimension)")
        }
    }
}
