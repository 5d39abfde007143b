import MartletCore
import MartletEngine

/// What the lead rank of a copy in another process tells its engine of a step that was collected.
package enum RankReply: Sendable, Equatable {
    /// An encoded `StepResult`.
    case result([UInt8])
    /// The plan was at fault.
    case fault(RunnerError)

    /// "MSR" and the version.
    private static var format: UInt32 { 0x0152_534D }
    /// A result and a few bytes.
    private static var maximumByteCount: Int { StepResult.maximumByteCount + 64 }

    package func encoded() throws(PlanCodingError) -> [UInt8] {
        var writer = PlanWriter(format: Self.format)
        switch self {
        case .result(let bytes):
            writer.write(UInt8(1))
            writer.write(bytes: bytes)
        case .fault(let error):
            writer.write(UInt8(2))
            writer.write(error.rawValue)
        }
        return try writer.finish(limit: Self.maximumByteCount)
    }

    /// A result's bytes are not looked into here.
    package init(decoding bytes: [UInt8]) throws(PlanCodingError) {
        var reader = try PlanReader(bytes, format: Self.format, limit: Self.maximumByteCount)
        switch try reader.integer("kind") as UInt8 {
        case 1: self = .result(try reader.bytes("result"))
        case 2:
            guard let error = RunnerError(rawValue: try reader.integer("fault")) else {
                throw .invalid(field: "fault")
            }
            self = .fault(error)
        default: throw .invalid(field: "kind")
        }
        try reader.finish()
    }
}
