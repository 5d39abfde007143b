import MartletCore

/// The bytes of a plan (D2): format word, total length, then the fields in the order of their declaration; arrays
/// with a 32-bit count before them, everything little-endian. Equal plans have equal bytes, so ranks can compare a
/// checksum.
extension StepPlan {
    /// "MSP" and the version.
    private static var format: UInt32 { 0x0250_534D }
    /// A full step of the longest prompts stays far below.
    package static var maximumByteCount: Int { 64 << 20 }

    package func encoded() throws(PlanCodingError) -> [UInt8] {
        var writer = PlanWriter(format: Self.format)
        writer.write(index)
        writer.write(releases)
        writer.write(admissions) { $0.write($1) }
        writer.write(blockAppends) {
            $0.write($1.slot)
            $0.write($1.blocks)
        }
        writer.write(visionWork) {
            $0.write($1.image)
            $0.write($1.units)
        }
        writer.write(chunks) {
            $0.write($1.slot)
            $0.write($1.range)
            $0.write($1.samples)
        }
        writer.write(decodes) {
            $0.write($1.slot)
            $0.write($1.guesses)
        }
        writer.write(imageReleases) { $0.write($1) }
        return try writer.finish(limit: Self.maximumByteCount)
    }

    package init(decoding bytes: [UInt8]) throws(PlanCodingError) {
        var reader = try PlanReader(bytes, format: Self.format, limit: Self.maximumByteCount)
        self.init(index: try reader.integer("index"))
        releases = try reader.integers("releases")
        admissions = try reader.array("admissions", elementBytes: 80) { (reader) throws(PlanCodingError) in
            try SlotAdmission(from: &reader)
        }
        blockAppends = try reader.array("blockAppends", elementBytes: 8) { (reader) throws(PlanCodingError) in
            BlockAppend(slot: try reader.integer("slot"), blocks: try reader.integers("blocks"))
        }
        visionWork = try reader.array("visionWork", elementBytes: 16) { (reader) throws(PlanCodingError) in
            VisionWork(image: try reader.integer("image"), units: try reader.range("units"))
        }
        chunks = try reader.array("chunks", elementBytes: 13) { (reader) throws(PlanCodingError) in
            PrefillChunk(
                slot: try reader.integer("slot"), range: try reader.range("range"), samples: try reader.bool("samples"))
        }
        decodes = try reader.array("decodes", elementBytes: 8) { (reader) throws(PlanCodingError) in
            SlotDecode(slot: try reader.integer("slot"), guesses: try reader.integers("guesses"))
        }
        imageReleases = try reader.array("imageReleases", elementBytes: 8) { (reader) throws(PlanCodingError) in
            try reader.integer("image")
        }
        try reader.finish()
    }
}

extension PlanWriter {
    mutating func write(_ admission: SlotAdmission) {
        write(admission.slot)
        write(admission.tokens)
        write(size: admission.promptCount)
        write(size: admission.cachedCount)
        write(admission.images) {
            $0.write($1.id)
            $0.write(size: $1.offset)
            $0.write(size: $1.rows)
            $0.write(size: $1.columns)
        }
        write(admission.sampling)
        write(admission.seed)
        write(admission.choice)
        write(admission.stopTokens)
    }
}

extension SlotAdmission {
    init(from reader: inout PlanReader) throws(PlanCodingError) {
        self.init(
            slot: try reader.integer("slot"), tokens: try reader.integers("tokens"),
            promptCount: try reader.size("promptCount"), cachedCount: try reader.size("cachedCount"),
            images: try reader.array("images", elementBytes: 20) { (reader) throws(PlanCodingError) in
                try ImageSpan(from: &reader)
            },
            sampling: try SamplingParameters(from: &reader), seed: try reader.integer("seed"),
            choice: try reader.integer("choice"), stopTokens: try reader.integers("stopTokens"))
        guard promptCount <= tokens.count else { throw .invalid(field: "promptCount") }
        guard cachedCount <= tokens.count else { throw .invalid(field: "cachedCount") }
    }
}

extension ImageSpan {
    init(from reader: inout PlanReader) throws(PlanCodingError) {
        self.init(
            id: try reader.integer("id"), offset: try reader.size("offset"), rows: try reader.size("rows"),
            columns: try reader.size("columns"))
        // Sizes are below 2^31: neither the product nor the sum overflows 64 bits.
        guard offset + rows * columns <= Int(Int32.max) else { throw .invalid(field: "images") }
    }
}
