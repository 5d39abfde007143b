import MartletCore
import MartletTensor

/// Makes safetensors files for tests, honest or lying: what is stated is written, unchecked.
package struct SafetensorsWriter {
    package struct Tensor {
        package var name: String
        package var dtype: String
        package var shape: [Int]
        package var bytes: [UInt8]

        package init(name: String, dtype: String, shape: [Int], bytes: [UInt8]) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }
    }

    package var tensors: [Tensor] = []

    package init() {}

    package mutating func add(_ name: String, dtype: String = "F32", shape: [Int], bytes: [UInt8]) {
        tensors.append(Tensor(name: name, dtype: dtype, shape: shape, bytes: bytes))
    }

    /// Every named tensor of a source, under the name `rename` gives it.
    package mutating func add(
        _ infos: [TensorInfo], of source: any WeightSource, rename: (String) -> String = { $0 }
    ) throws {
        for info in infos {
            let bytes = try source.withRows(info.name, 0..<info.rows) { [UInt8]($0) }
            add(rename(info.name), dtype: info.dtype.rawValue, shape: info.shape, bytes: bytes)
        }
    }

    /// The file.
    package var file: [UInt8] {
        var header = JSONWriter()
        header.raw("{\"__metadata__\":{\"format\":\"pt\"}")
        var offset = 0
        for tensor in tensors {
            header.raw(",")
            header.string(tensor.name)
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            header.raw(":{\"dtype\":\"\(tensor.dtype)\",\"shape\":[\(shape)],")
            header.raw("\"data_offsets\":[\(offset),\(offset + tensor.bytes.count)]}")
            offset += tensor.bytes.count
        }
        header.raw("}")
        return Self.file(header: header.text, data: tensors.flatMap(\.bytes))
    }

    /// A file with any header, padded with spaces to 8 bytes as writers do.
    package static func file(header: String, data: [UInt8]) -> [UInt8] {
        var text = Array(header.utf8)
        while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
        return littleEndian(UInt64(text.count)) + text + data
    }

    package static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }
}
