import MartletCore
import MartletEngine

/// The bytes of an order, by the rules of plans, for ranks of other processes.
extension RankOrder {
    /// "MSO" and the version.
    private static var format: UInt32 { 0x024F_534D }
    /// A picture, or a plan, and a few bytes.
    static var maximumByteCount: Int { PreparedImage.maximumByteCount + 64 }

    package func encoded() throws(PlanCodingError) -> [UInt8] {
        var writer = PlanWriter(format: Self.format)
        switch self {
        case .begin(let limits):
            writer.write(UInt8(1))
            for size in [
                limits.blockSize, limits.blockCount, limits.slotCount, limits.maxModelLength, limits.vocabularyCount,
                limits.depth, limits.stageCount, limits.encoderCacheTokens, limits.maxImageTokens,
                limits.encodingCount,
            ] { writer.write(size: size) }
        case .register(let image, let id):
            writer.write(UInt8(2))
            writer.write(id)
            writer.write(bytes: try image.encoded())
        case .step(let bytes):
            writer.write(UInt8(3))
            writer.write(bytes: bytes)
        case .collect(let index):
            writer.write(UInt8(4))
            writer.write(index)
        }
        return try writer.finish(limit: Self.maximumByteCount)
    }

    /// A step's bytes are not looked into here.
    package init(decoding bytes: [UInt8]) throws(PlanCodingError) {
        var reader = try PlanReader(bytes, format: Self.format, limit: Self.maximumByteCount)
        switch try reader.integer("kind") as UInt8 {
        case 1: self = .begin(try RunnerLimits(from: &reader))
        case 2:
            let id: ImageID = try reader.integer("image")
            self = .register(try PreparedImage(decoding: try reader.bytes("image")), as: id)
        case 3: self = .step(try reader.bytes("step"))
        case 4: self = .collect(try reader.integer("index"))
        default: throw .invalid(field: "kind")
        }
        try reader.finish()
    }
}

extension RunnerLimits {
    fileprivate init(from reader: inout PlanReader) throws(PlanCodingError) {
        func count(_ field: String) throws(PlanCodingError) -> Int {
            let value = try reader.size(field)
            guard value > 0 else { throw .invalid(field: field) }
            return value
        }
        self.init(
            blockSize: try count("blockSize"), blockCount: try count("blockCount"), slotCount: try count("slotCount"),
            maxModelLength: try count("maxModelLength"), vocabularyCount: try count("vocabularyCount"),
            depth: try count("depth"), stageCount: try count("stageCount"),
            encoderCacheTokens: try count("encoderCacheTokens"), maxImageTokens: try count("maxImageTokens"),
            encodingCount: try count("encodingCount"))
    }
}
