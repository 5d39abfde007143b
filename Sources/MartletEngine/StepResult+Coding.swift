import MartletCore

/// The bytes of a result, by the rules of the plan's.
extension StepResult {
    /// "MSR" and the version.
    private static var format: UInt32 { 0x0152_534D }
    package static var maximumByteCount: Int { 16 << 20 }

    package func encoded() throws(PlanCodingError) -> [UInt8] {
        var writer = PlanWriter(format: Self.format)
        writer.write(index)
        writer.write(rows) {
            $0.write($1.slot)
            $0.write($1.tokens) {
                $0.write($1.token)
                $0.write(optional: $1.logprob) { $0.write($1) }
                $0.write($1.top) {
                    $0.write($1.token)
                    $0.write($1.logprob)
                }
            }
        }
        return try writer.finish(limit: Self.maximumByteCount)
    }

    package init(decoding bytes: [UInt8]) throws(PlanCodingError) {
        var reader = try PlanReader(bytes, format: Self.format, limit: Self.maximumByteCount)
        self.init(index: try reader.integer("index"), rows: [])
        rows = try reader.array("rows", elementBytes: 8) { (reader) throws(PlanCodingError) in
            let slot: Slot = try reader.integer("slot")
            let tokens = try reader.array("tokens", elementBytes: 9) { (reader) throws(PlanCodingError) in
                try SampledToken(from: &reader)
            }
            return Row(slot: slot, tokens: tokens)
        }
        try reader.finish()
    }
}

extension SampledToken {
    init(from reader: inout PlanReader) throws(PlanCodingError) {
        self.init(token: try reader.integer("token"))
        logprob = try reader.optional("logprob") { (reader) throws(PlanCodingError) in try reader.float("logprob") }
        top = try reader.array("top", elementBytes: 8) { (reader) throws(PlanCodingError) in
            TokenLogprob(token: try reader.integer("top"), logprob: try reader.float("top"))
        }
    }
}
