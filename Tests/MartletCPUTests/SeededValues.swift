import MartletTensor

@testable import MartletCPU

/// Numbers that are the same in every run: SplitMix64.
struct SeededValues {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func bits() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// In -1 ..< 1, times `scale`.
    mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
        (0..<count).map { _ in (Float(bits() >> 40) / Float(1 << 23) - 1) * scale }
    }

    mutating func permutation(_ count: Int) -> [Int32] {
        var order = (0..<count).map(Int32.init)
        for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, Int(bits() % UInt64(i + 1))) }
        return order
    }
}

extension CPUBackend {
    /// `values` [rows, width] in memory, with a gap of `padding` between rows.
    func activation(_ values: [Float], width: Int, padding: Int = 0) throws -> Activation<Storage> {
        let rows = values.count / width
        let x = try makeActivation(rows: rows, width: width + padding).columns(0..<width)
        write(values, to: x)
        return x
    }

    func vector(_ values: [Float]) throws -> Vector { try Vector(values) }
}

extension [Float] {
    /// Equal only if every bit is.
    var bitPatterns: [UInt32] { map(\.bitPattern) }

    /// The largest difference from `truth`, relative to `scale` or to the truth's own largest magnitude.
    func error(from truth: [Double], scale: Double? = nil) -> Double {
        guard count == truth.count else { return .infinity }
        let size = scale ?? truth.reduce(1e-300) { Swift.max($0, abs($1)) }
        return zip(self, truth).reduce(0) { largest, pair in
            let difference = abs(Double(pair.0) - pair.1) / size
            return difference.isNaN ? .infinity : Swift.max(largest, difference)
        }
    }
}

/// Bits, so that zeros of different sign and NaNs differ as they should.
func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
