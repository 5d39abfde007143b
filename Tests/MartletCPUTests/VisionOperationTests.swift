import MartletCore
import MartletTensor
import Testing

@testable import MartletCPU

@Suite struct VisionOperationTests {
    /// Picture of MODEL.md 7.2: byte at (y, x, c) is (7x + 13y + 29c + xy mod 11) mod 256.
    private func picture(width: Int, height: Int, patchSize: Int) -> PreparedImage {
        let rgb = (0..<height * width * 3).map { i in
            let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3)
            return UInt8((7 * x + 13 * y + 29 * c + x * y % 11) % 256)
        }
        return PreparedImage(
            width: width, height: height, originalWidth: width, originalHeight: height, rgb: rgb,
            patchSize: patchSize, mergeSize: 2, mean: [0.48145466, 0.4578275, 0.40821073],
            deviation: [0.26862954, 0.26130258, 0.27577711])
    }

    @Test(arguments: CPUKernels.available)
    func patchesComeInBlocksOfFour(isa: String) throws {
        let backend = try CPUBackend(threads: 2, isa: isa)
        let image = picture(width: 24, height: 16, patchSize: 4)
        let width = 3 * 2 * 16
        let y = try backend.makeActivation(rows: 24, width: width)
        backend.extractPatches(image, temporalPatch: 2, range: 0..<24, into: y)
        let values = backend.read(y)
        // Row and column of the first eight patches, of the first of the second block row, and of the last.
        let expected = [
            (0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 0, 2), (5, 0, 3), (6, 1, 2), (7, 1, 3), (12, 2, 0),
            (23, 3, 5),
        ]
        for (index, row, column) in expected {
            for (element, value) in values[index * width..<(index + 1) * width].enumerated() {
                let (channel, pixel) = (element / 32, element % 16)
                let at = ((row * 4 + pixel / 4) * 24 + column * 4 + pixel % 4) * 3 + channel
                let fraction = Double(image.rgb[at]) / 255
                let level = (fraction - Double(image.mean[channel])) / Double(image.deviation[channel])
                #expect(abs(Double(value) - level) < 1e-6, "patch \(index), element \(element)")
            }
        }
        let some = try backend.makeActivation(rows: 5, width: width)
        backend.extractPatches(image, temporalPatch: 2, range: 9..<14, into: some)
        #expect(backend.read(some).bitPatterns == Array(values[9 * width..<14 * width]).bitPatterns)
    }

    @Test(arguments: CPUKernels.available)
    func theGoldenPictureHasItsValues(isa: String) throws {
        let backend = try CPUBackend(threads: 1, isa: isa)
        // Image B of MODEL.md 7.2: the last two of `pixel_values`.
        let image = picture(width: 112, height: 56, patchSize: 14)
        let y = try backend.makeActivation(rows: 32, width: 1176)
        backend.extractPatches(image, temporalPatch: 2, range: 0..<32, into: y)
        #expect(backend.read(y.rows(31..<32).columns(1174..<1176)).error(from: [-1.38068, -1.28114]) < 1e-5)
    }

    @Test(arguments: CPUKernels.available)
    func aGridOfTheTablesOwnSideGetsTheTable(isa: String) throws {
        let backend = try CPUBackend(threads: 2, isa: isa)
        var numbers = SeededValues(6)
        let table = numbers.floats(24 * 24 * 3)
        let x = try backend.activation([Float](repeating: 0, count: table.count), width: 3)
        backend.addPositions(try backend.vector(table), side: 24, rows: 24, columns: 24, mergeSize: 2, to: x)
        let values = backend.read(x)
        for row in 0..<24 {
            for column in 0..<24 {
                let index = ((row / 2 * 12 + column / 2) * 2 + row % 2) * 2 + column % 2
                let at = (row * 24 + column) * 3
                #expect(values[index * 3..<index * 3 + 3] == table[at..<at + 3], "row \(row), column \(column)")
            }
        }
    }

    @Test(arguments: [(10, 8), (4, 8), (2, 2), (30, 6)])
    func positionsAreSampledBicubically(grid: (Int, Int)) throws {
        let (rows, columns) = grid
        let side = 4, width = 11
        var numbers = SeededValues(7)
        let table = numbers.floats(side * side * width), start = numbers.floats(rows * columns * width)
        var truth = start.map(Double.init)
        for index in 0..<rows * columns {
            let block = index / 4
            let row = block / (columns / 2) * 2 + index % 4 / 2, column = block % (columns / 2) * 2 + index % 2
            let down = taps(row, rows, side), across = taps(column, columns, side)
            for (r, weightDown) in down {
                for (c, weightAcross) in across {
                    for i in 0..<width {
                        let sample = Double(table[(r * side + c) * width + i])
                        truth[index * width + i] += weightDown * weightAcross * sample
                    }
                }
            }
        }
        for isa in CPUKernels.available {
            let backend = try CPUBackend(threads: 2, isa: isa)
            let x = try backend.activation(start, width: width)
            let samples = try backend.vector(table)
            backend.addPositions(samples, side: side, rows: rows, columns: columns, mergeSize: 2, to: x)
            #expect(backend.read(x).error(from: truth) < 1e-6)
        }
    }

    /// Clamped index and weight of the four taps, from the kernel's textbook form with a = -0.75.
    private func taps(_ cell: Int, _ cells: Int, _ side: Int) -> [(Int, Double)] {
        let centre = (Double(cell) + 0.5) * Double(side) / Double(cells) - 0.5
        return (-1...2).map { offset in
            let at = Int(centre.rounded(.down)) + offset
            let d = abs(centre - Double(at)), a = -0.75
            let inner = (a + 2) * d * d * d - (a + 3) * d * d + 1
            let outer = a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a
            return (min(max(at, 0), side - 1), d <= 1 ? inner : d < 2 ? outer : 0)
        }
    }
}
