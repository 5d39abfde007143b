import MartletTensor

/// Makes GGUF files for tests, honest or lying: what is stated is written, unchecked.
package struct GGUFWriter {
    package indirect enum Value {
        case uint8(UInt8), int8(Int8), uint16(UInt16), int16(Int16), uint32(UInt32), int32(Int32), float(Float)
        case bool(Bool), string(String), uint64(UInt64), int64(Int64), double(Double)
        /// All of one type; empty ones are of type uint32.
        case array([Value])
        /// Any bytes under any type number.
        case raw(type: UInt32, bytes: [UInt8])

        var type: UInt32 {
            switch self {
            case .uint8: 0
            case .int8: 1
            case .uint16: 2
            case .int16: 3
            case .uint32: 4
            case .int32: 5
            case .float: 6
            case .bool: 7
            case .string: 8
            case .array: 9
            case .uint64: 10
            case .int64: 11
            case .double: 12
            case .raw(let type, _): type
            }
        }

        var bytes: [UInt8] {
            switch self {
            case .uint8(let value): littleEndian(value)
            case .int8(let value): littleEndian(value)
            case .uint16(let value): littleEndian(value)
            case .int16(let value): littleEndian(value)
            case .uint32(let value): littleEndian(value)
            case .int32(let value): littleEndian(value)
            case .float(let value): littleEndian(value.bitPattern)
            case .bool(let value): [value ? 1 : 0]
            case .string(let value): littleEndian(UInt64(value.utf8.count)) + Array(value.utf8)
            case .uint64(let value): littleEndian(value)
            case .int64(let value): littleEndian(value)
            case .double(let value): littleEndian(value.bitPattern)
            case .array(let values):
                littleEndian(values.first?.type ?? 4) + littleEndian(UInt64(values.count)) + values.flatMap(\.bytes)
            case .raw(_, let bytes): bytes
            }
        }
    }

    package struct Tensor {
        package var name: String
        /// Innermost first.
        package var dimensions: [UInt64]
        package var type: UInt32
        package var bytes: [UInt8]
        /// nil: where it comes to lie.
        package var offset: UInt64?
    }

    package var magic = Array("GGUF".utf8)
    package var version: UInt32 = 3
    /// nil: as many as there are.
    package var statedTensors: UInt64?
    package var statedKeys: UInt64?
    package var alignment = 32
    package var metadata: [(key: String, value: Value)] = []
    package var tensors: [Tensor] = []

    package init() {}

    package mutating func set(_ key: String, _ value: Value) { metadata.append((key, value)) }

    package mutating func add(
        _ name: String, dimensions: [UInt64], type: UInt32 = 0, bytes: [UInt8], offset: UInt64? = nil
    ) {
        tensors.append(Tensor(name: name, dimensions: dimensions, type: type, bytes: bytes, offset: offset))
    }

    /// A tensor with its shape outermost first.
    package mutating func add(_ name: String, shape: [Int], dtype: DType, bytes: [UInt8]) {
        add(name, dimensions: shape.reversed().map(UInt64.init), type: dtype.ggmlID, bytes: bytes)
    }

    /// The file.
    package var file: [UInt8] {
        var header = magic + littleEndian(version)
        header += littleEndian(statedTensors ?? UInt64(tensors.count))
        header += littleEndian(statedKeys ?? UInt64(metadata.count))
        for (key, value) in metadata { header += Value.string(key).bytes + littleEndian(value.type) + value.bytes }
        var data: [UInt8] = []
        for tensor in tensors {
            header += Value.string(tensor.name).bytes + littleEndian(UInt32(tensor.dimensions.count))
            header += tensor.dimensions.flatMap { littleEndian($0) } + littleEndian(tensor.type)
            header += littleEndian(tensor.offset ?? UInt64(data.count))
            data += tensor.bytes
            pad(&data)
        }
        pad(&header)
        return header + data
    }

    private func pad(_ bytes: inout [UInt8]) { while bytes.count % alignment != 0 { bytes.append(0) } }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] { SafetensorsWriter.littleEndian(value) }
