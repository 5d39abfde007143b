import Foundation

/// Which dimensions of a head rotate together.
package enum RotaryPairing: Sendable {
    /// (2j, 2j+1): GLM text.
    case interleaved
    /// (i, i + half of the rotary dimensions): Llama, and GLM's vision tower.
    case halfSplit
}

/// The rotary embedding of one model: frequency j turns pair j by `position[axis[j]] * inverseFrequency[j]`.
/// Dimensions past `2 * inverseFrequency.count` of a head pass through.
package struct RotaryConfiguration: Sendable, Equatable {
    package let pairing: RotaryPairing
    package let inverseFrequency: [Float]
    /// Per frequency: 0 = T, 1 = H, 2 = W.
    package let axis: [Int]

    package init(pairing: RotaryPairing, inverseFrequency: [Float], axis: [Int]) {
        precondition(inverseFrequency.count == axis.count, "one axis a frequency")
        self.pairing = pairing
        self.inverseFrequency = inverseFrequency
        self.axis = axis
    }

    package var dimensions: Int { 2 * inverseFrequency.count }
}

/// (T, H, W) of each row; for text all three are equal.
package struct RotaryPositions: Sendable, Equatable {
    package var t: [Int32] = []
    package var h: [Int32] = []
    package var w: [Int32] = []

    package init() {}
    package var count: Int { t.count }

    package mutating func append(t: Int32, h: Int32, w: Int32) {
        self.t.append(t)
        self.h.append(h)
        self.w.append(w)
    }
}

extension RotaryConfiguration {
    /// `theta^(-2j / dimensions)` for j in 0 ..< dimensions / 2, computed as the reference does: in f32.
    package static func inverseFrequencies(theta: Double, dimensions: Int) -> [Float] {
        (0..<(dimensions / 2)).map { 1 / Float(pow(theta, Double(Float(2 * $0) / Float(dimensions)))) }
    }
}
