/// Reads the little-endian header of a GGUF file front to back; every length is checked against what is left of
/// the file before anything is allocated (MODEL.md 8.1).
struct GGUFReader {
    static let maxKeyBytes = 65_535
    static let maxStringBytes = 64 << 20
    static let maxArrayElements = 1 << 23
    static let maxKeys = 1 << 16
    static let maxTensors = 1 << 18
    private static let maxAlignment = 1 << 20

    /// A tensor as the header states it; its place is not checked yet.
    struct Tensor {
        let name: String
        let dtype: DType
        /// Innermost first, as in the file.
        let dimensions: [Int]
        let offset: Int
    }

    private let bytes: UnsafeRawBufferPointer
    private let file: String
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer, file: String) {
        self.bytes = bytes
        self.file = file
    }

    private func fault(_ reason: String, tensor: String? = nil) -> WeightError {
        WeightError(file: file, tensor: tensor, reason: reason)
    }

    private var remaining: Int { bytes.count - position }

    mutating func integer<Value: FixedWidthInteger>(
        _ type: Value.Type, _ what: String
    ) throws(WeightError) -> Value {
        let size = MemoryLayout<Value>.size
        guard remaining >= size else { throw fault("ends inside \(what)") }
        defer { position += size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    /// A count whose elements take at least `elementBytes` each in what is left of the file.
    private mutating func count(_ what: String, elementBytes: Int, max: Int) throws(WeightError) -> Int {
        let value = try integer(UInt64.self, what)
        guard value <= UInt64(max) else { throw fault("\(what) is \(value); at most \(max) is read") }
        guard value <= UInt64(remaining / elementBytes) else {
            throw fault("\(what) is \(value), more than the file has room for")
        }
        return Int(value)
    }

    private mutating func string(_ what: String, max: Int) throws(WeightError) -> String {
        let length = try count("the length of \(what)", elementBytes: 1, max: max)
        let text = bytes[position..<position + length]
        guard let string = String(validating: text, as: UTF8.self) else { throw fault("\(what) is not UTF-8") }
        position += length
        return string
    }

    /// Magic, version and the two counts.
    mutating func counts() throws(WeightError) -> (version: UInt32, tensors: Int, keys: Int) {
        guard try integer(UInt32.self, "the magic") == 0x4655_4747 else { throw fault("is not a GGUF file") }
        let version = try integer(UInt32.self, "the version")
        guard version == 2 || version == 3 else {
            throw fault(
                version & 0xFFFF == 0
                    ? "is a big-endian GGUF file; little-endian ones are read"
                    : "is GGUF version \(version); versions 2 and 3 are read")
        }
        // A tensor takes 8 + 4 + 8 + 4 + 8 bytes at least, a key 8 + 4 + 1.
        let tensors = try count("the number of tensors", elementBytes: 32, max: Self.maxTensors)
        let keys = try count("the number of metadata keys", elementBytes: 13, max: Self.maxKeys)
        return (version, tensors, keys)
    }

    mutating func keyValue() throws(WeightError) -> (key: String, value: GGUFValue) {
        let key = try string("a metadata key", max: Self.maxKeyBytes)
        guard !key.isEmpty else { throw fault("has an empty metadata key") }
        let type = try integer(UInt32.self, "metadata \(key)")
        if type == 9 { return (key, try array(key)) }
        return (key, try scalar(type, key))
    }

    private mutating func scalar(_ type: UInt32, _ key: String) throws(WeightError) -> GGUFValue {
        switch type {
        case 6, 12: return .number(try number(type, key))
        case 7: return .bool(try bool(key))
        case 8: return .string(try string("metadata \(key)", max: Self.maxStringBytes))
        case 10:
            let value = try integer(UInt64.self, "metadata \(key)")
            return Int(exactly: value).map(GGUFValue.integer) ?? .number(Double(value))
        default: return .integer(try whole(type, key))
        }
    }

    private mutating func array(_ key: String) throws(WeightError) -> GGUFValue {
        let type = try integer(UInt32.self, "metadata \(key)")
        let sizes: [UInt32: Int] = [0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 8: 8, 10: 8, 11: 8, 12: 8]
        guard type != 9 else { throw fault("metadata \(key) is an array of arrays") }
        guard let size = sizes[type] else { throw fault("metadata \(key) has elements of unknown type \(type)") }
        let count = try count("the length of metadata \(key)", elementBytes: size, max: Self.maxArrayElements)
        switch type {
        case 6, 12:
            var values: [Double] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try number(type, key)) }
            return .numbers(values)
        case 7:
            var values: [Bool] = []
            for _ in 0..<count { values.append(try bool(key)) }
            return .bools(values)
        case 8:
            var values: [String] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try string("metadata \(key)", max: Self.maxStringBytes)) }
            return .strings(values)
        default:
            var values: [Int] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try whole(type, key)) }
            return .integers(values)
        }
    }

    private mutating func number(_ type: UInt32, _ key: String) throws(WeightError) -> Double {
        if type == 6 { return Double(Float(bitPattern: try integer(UInt32.self, "metadata \(key)"))) }
        return Double(bitPattern: try integer(UInt64.self, "metadata \(key)"))
    }

    private mutating func bool(_ key: String) throws(WeightError) -> Bool {
        let value = try integer(UInt8.self, "metadata \(key)")
        guard value <= 1 else { throw fault("metadata \(key) is a bool of value \(value)") }
        return value == 1
    }

    private mutating func whole(_ type: UInt32, _ key: String) throws(WeightError) -> Int {
        let what = "metadata \(key)"
        switch type {
        case 0: return Int(try integer(UInt8.self, what))
        case 1: return Int(try integer(Int8.self, what))
        case 2: return Int(try integer(UInt16.self, what))
        case 3: return Int(try integer(Int16.self, what))
        case 4: return Int(try integer(UInt32.self, what))
        case 5: return Int(try integer(Int32.self, what))
        case 10:
            let value = try integer(UInt64.self, what)
            guard let whole = Int(exactly: value) else { throw fault("\(what) holds \(value), which is out of range") }
            return whole
        case 11: return Int(try integer(Int64.self, what))
        default: throw fault("\(what) has unknown type \(type)")
        }
    }

    mutating func tensor() throws(WeightError) -> Tensor {
        let name = try string("a tensor's name", max: Self.maxKeyBytes)
        let rank = try integer(UInt32.self, "tensor \(name)")
        guard (1...4).contains(rank) else { throw fault("has \(rank) dimensions; 1 to 4 are read", tensor: name) }
        var dimensions: [Int] = []
        for _ in 0..<rank {
            let size = try integer(UInt64.self, "tensor \(name)")
            guard size >= 1, let size = Int(exactly: size) else {
                throw fault("has a dimension of \(size)", tensor: name)
            }
            dimensions.append(size)
        }
        let type = try integer(UInt32.self, "tensor \(name)")
        guard let dtype = GGMLType.dtype(type) else {
            let read = DType.allCases.map(\.rawValue).joined(separator: " ")
            throw fault(
                "has type \(GGMLType.name(type)), which is not read; take a Q4_K_M or Q8_0 file (types read: \(read))",
                tensor: name)
        }
        let offset = try integer(UInt64.self, "tensor \(name)")
        guard let offset = Int(exactly: offset) else { throw fault("has offset \(offset)", tensor: name) }
        return Tensor(name: name, dtype: dtype, dimensions: dimensions, offset: offset)
    }

    /// `general.alignment`, 32 if it is not given.
    func alignment(_ metadata: [String: GGUFValue]) throws(WeightError) -> Int {
        guard let value = metadata["general.alignment"] else { return 32 }
        guard let alignment = value.integer, alignment >= 1, alignment <= Self.maxAlignment,
            alignment & (alignment - 1) == 0
        else { throw fault("general.alignment is not a power of two up to \(Self.maxAlignment)") }
        return alignment
    }
}
