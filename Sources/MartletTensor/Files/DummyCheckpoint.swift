internal import CDigest

/// Deterministic weights of any shape (`--load-format dummy`, and the golden checkpoint of MODEL.md 7.2): element i
/// of a tensor is a hash of the tensor's name and of i alone, so that any piece of it can be made on its own.
package final class DummyCheckpoint: WeightSource {
    private struct Entry: Sendable {
        let info: TensorInfo
        let rule: martlet_dummy_rule
    }

    private let entries: [String: Entry]
    package let tensors: [TensorInfo]

    /// Throws if a tensor is named twice or has a quantised type: the rule makes plain values.
    package init(tensors: [TensorInfo]) throws(WeightError) {
        var entries: [String: Entry] = [:]
        for info in tensors {
            guard !info.dtype.isQuantized else {
                throw WeightError(file: "dummy", tensor: info.name, reason: "cannot be made as \(info.dtype.rawValue)")
            }
            guard entries.updateValue(Entry(info: info, rule: Self.rule(info)), forKey: info.name) == nil else {
                throw WeightError(file: "dummy", tensor: info.name, reason: "is there twice")
            }
        }
        self.entries = entries
        self.tensors = tensors
    }

    package func info(_ name: String) -> TensorInfo? { entries[name]?.info }

    package func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard let entry = entries[name] else { throw WeightError(file: "dummy", tensor: name, reason: "is not there") }
        let bytes = try entry.info.byteRange(ofRows: range, file: "dummy")
        return try withScratch(bytes.count) { scratch in
            if let base = scratch.baseAddress, !bytes.isEmpty {
                let columns = entry.info.columns
                var rule = entry.rule
                martlet_dummy_fill(&rule, UInt64(range.lowerBound * columns), range.count * columns, base)
            }
            return try body(UnsafeRawBufferPointer(scratch))
        }
    }

    package func discard(_ name: String) {}

    /// FNV-1a, 64 bit, of the UTF-8 of `name`.
    package static func hash(_ name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private static func rule(_ info: TensorInfo) -> martlet_dummy_rule {
        var rule = martlet_dummy_rule()
        rule.hash = hash(info.name)
        rule.offset = 0
        rule.divisor = 1
        if info.name.hasSuffix("bias") {
            rule.factor = 0.4
        } else if info.name.contains("norm") {
            rule.factor = 0.5
            rule.offset = 1
        } else if info.name.contains("embed_tokens") || info.name.contains("position_embedding") {
            rule.factor = 2
        } else {
            rule.factor = 3
            rule.divisor = Double(info.columns).squareRoot()
        }
        rule.format =
            switch info.dtype {
            case .f16: MARTLET_DUMMY_F16
            case .bf16: MARTLET_DUMMY_BF16
            default: MARTLET_DUMMY_F32
            }
        return rule
    }
}
