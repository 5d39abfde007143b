import MartletCore

/// One mapped `.safetensors` file with a header that was checked whole: every tensor lies inside the file, no two
/// overlap, and together they cover it (the format has no checksum, so its
/// arithmetic is all there is to check).
package final class SafetensorsFile: Sendable {
    /// The format's own limit.
    package static let maxHeaderBytes = 100_000_000
    static let maxRank = 8

    /// One tensor of the header.
    package struct Entry: Sendable, Equatable {
        package let name: String
        /// As the file spells it, for example "I64".
        package let dtypeName: String
        package let shape: [Int]
        /// Where its bytes are, from the start of the file.
        package let bytes: Range<Int>
        /// nil for types that Martlet does not read; such a tensor is listed, and refused when used.
        package var dtype: DType? { SafetensorsFile.readableTypes[dtypeName] }
    }

    package let entries: [Entry]
    /// What a ready-packed file says of itself; nil for any other.
    let packed: PackedHeader?
    let mapped: MappedFile
    package var path: String { mapped.path }

    /// Maps the file and checks its header. Throws naming the file and, where there is one, the tensor.
    package init(path: String) throws(WeightError) {
        mapped = try MappedFile(path: path)
        let header = try Self.header(of: mapped.bytes, file: path)
        entries = try Self.entries(header.object, dataStart: header.end, fileBytes: mapped.byteCount, file: path)
        packed = try PackedHeader.read(Self.metadata(header.object), entries: entries, file: path)
    }

    private static let readableTypes: [String: DType] = ["F32": .f32, "F16": .f16, "BF16": .bf16]
    private static let elementBits: [String: Int] = [
        "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64,
        "F64": 64, "C64": 64,
    ]

    /// The header's object, and where it ends.
    private static func header(
        of bytes: UnsafeRawBufferPointer, file: String
    ) throws(WeightError) -> (object: JSONObject, end: Int) {
        guard bytes.count >= 8 else { throw WeightError(file: file, reason: "is too short for a safetensors header") }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard length <= maxHeaderBytes else {
            throw WeightError(file: file, reason: "header of \(length) bytes is over the limit of \(maxHeaderBytes)")
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= bytes.count else {
            throw WeightError(file: file, reason: "header of \(length) bytes reaches past the end of the file")
        }
        let header: JSONValue
        do {
            header = try JSONParser.parse(bytes[8..<dataStart])
        } catch {
            throw WeightError(file: file, reason: "header is \(error)")
        }
        guard let object = header.object else { throw WeightError(file: file, reason: "header is not a JSON object") }
        return (object, dataStart)
    }

    /// Texts of `__metadata__`.
    private static func metadata(_ header: JSONObject) -> [String: String] {
        var metadata: [String: String] = [:]
        for (key, value) in header["__metadata__"]?.object?.entries ?? [] { metadata[key] = value.string }
        return metadata
    }

    private static func entries(
        _ header: JSONObject, dataStart: Int, fileBytes: Int, file: String
    ) throws(WeightError) -> [Entry] {
        var entries: [Entry] = []
        for (name, value) in header.entries where name != "__metadata__" {
            entries.append(try entry(name, value, dataStart: dataStart, fileBytes: fileBytes, file: file))
        }
        entries.sort { ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound) }
        try checkCover(entries, dataStart: dataStart, fileBytes: fileBytes, file: file)
        return entries
    }

    private static func entry(
        _ name: String, _ value: JSONValue, dataStart: Int, fileBytes: Int, file: String
    ) throws(WeightError) -> Entry {
        func fault(_ reason: String) -> WeightError { WeightError(file: file, tensor: name, reason: reason) }
        guard let dtype = value["dtype"]?.string else { throw fault("has no dtype") }
        guard let bits = elementBits[dtype] else { throw fault("has the unknown dtype \(dtype)") }
        guard let dimensions = value["shape"]?.array, dimensions.count <= maxRank else {
            throw fault("has no shape of at most \(maxRank) dimensions")
        }
        var shape: [Int] = []
        var total = bits
        for dimension in dimensions {
            guard case .integer(let size) = dimension, size >= 0 else { throw fault("has a bad dimension") }
            let (product, overflow) = total.multipliedReportingOverflow(by: Int(size))
            guard !overflow else { throw fault("has a shape whose size overflows") }
            total = product
            shape.append(Int(size))
        }
        guard let offsets = value["data_offsets"]?.array, offsets.count == 2,
            case .integer(let begin) = offsets[0], case .integer(let end) = offsets[1],
            begin >= 0, end >= begin
        else { throw fault("has no ascending pair of data_offsets") }
        guard end <= Int64(fileBytes - dataStart) else { throw fault("reaches past the end of the file") }
        guard total % 8 == 0, Int(end - begin) == total / 8 else {
            throw fault("has \(end - begin) bytes where \(dtype) \(shape) needs \((total + 7) / 8)")
        }
        return Entry(
            name: name, dtypeName: dtype, shape: shape, bytes: dataStart + Int(begin)..<dataStart + Int(end))
    }

    private static func checkCover(
        _ entries: [Entry], dataStart: Int, fileBytes: Int, file: String
    ) throws(WeightError) {
        var position = dataStart
        for entry in entries {
            guard entry.bytes.lowerBound >= position else {
                throw WeightError(file: file, tensor: entry.name, reason: "overlaps the tensor before it")
            }
            guard entry.bytes.lowerBound == position else {
                throw WeightError(file: file, tensor: entry.name, reason: "leaves a hole before it")
            }
            position = entry.bytes.upperBound
        }
        guard position == fileBytes else {
            throw WeightError(
                file: file, reason: "has \(fileBytes - position) bytes after its last tensor that no tensor covers")
        }
    }
}
