/// One mapped GGUF file, its header checked whole: every tensor lies inside the file and no two overlap.
final class GGUFPart: Sendable {
    /// A tensor and where its bytes are, from the start of the file.
    struct Entry: Sendable {
        let info: TensorInfo
        let bytes: Range<Int>
    }

    let version: UInt32
    let metadata: [String: GGUFValue]
    let entries: [Entry]
    let mapped: MappedFile
    /// Where the header ends and data begin.
    let dataStart: Int
    var path: String { mapped.path }

    /// `isHeader`: the file is a header without the data behind it, so that no tensor can be read.
    init(path: String, isHeader: Bool = false) throws(WeightError) {
        mapped = try MappedFile(path: path)
        var reader = GGUFReader(mapped.bytes, file: path)
        let counts = try reader.counts()
        version = counts.version
        var metadata: [String: GGUFValue] = [:]
        for _ in 0..<counts.keys {
            let (key, value) = try reader.keyValue()
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw WeightError(file: path, reason: "has metadata \(key) twice")
            }
        }
        self.metadata = metadata
        var tensors: [GGUFReader.Tensor] = []
        var names: Set<String> = []
        for _ in 0..<counts.tensors {
            let tensor = try reader.tensor()
            guard names.insert(tensor.name).inserted else {
                throw WeightError(file: path, tensor: tensor.name, reason: "is there twice")
            }
            tensors.append(tensor)
        }
        let alignment = try reader.alignment(metadata)
        // The header lies inside the file, so this sum cannot overflow.
        dataStart = (reader.position + alignment - 1) / alignment * alignment
        entries = try Self.placed(
            tensors, dataStart: dataStart, alignment: alignment, fileBytes: isHeader ? .max : mapped.byteCount,
            file: path)
    }

    /// `general.architecture` of a file, read no further than that key; nil if it is not a GGUF file.
    static func architecture(ofFileAt path: String) -> String? {
        guard let mapped = try? MappedFile(path: path) else { return nil }
        var reader = GGUFReader(mapped.bytes, file: path)
        guard let counts = try? reader.counts() else { return nil }
        for _ in 0..<counts.keys {
            guard let (key, value) = try? reader.keyValue() else { return nil }
            if key == "general.architecture" { return value.string }
        }
        return nil
    }

    private static func placed(
        _ tensors: [GGUFReader.Tensor], dataStart: Int, alignment: Int, fileBytes: Int, file: String
    ) throws(WeightError) -> [Entry] {
        var entries: [Entry] = []
        for tensor in tensors {
            func fault(_ reason: String) -> WeightError { WeightError(file: file, tensor: tensor.name, reason: reason) }
            let size = try byteCount(tensor, file: file)
            guard tensor.offset % alignment == 0 else {
                throw fault("offset \(tensor.offset) is not a multiple of the alignment \(alignment)")
            }
            let (start, startOverflow) = dataStart.addingReportingOverflow(tensor.offset)
            let (end, endOverflow) = start.addingReportingOverflow(size)
            guard !startOverflow, !endOverflow, end <= fileBytes else {
                throw fault("reaches past the end of the file; is the download complete?")
            }
            let info = TensorInfo(name: tensor.name, dtype: tensor.dtype, shape: tensor.dimensions.reversed())
            entries.append(Entry(info: info, bytes: start..<end))
        }
        entries.sort { $0.bytes.lowerBound < $1.bytes.lowerBound }
        for (left, right) in zip(entries, entries.dropFirst()) where right.bytes.lowerBound < left.bytes.upperBound {
            throw WeightError(file: file, tensor: right.info.name, reason: "overlaps \(left.info.name)")
        }
        return entries
    }

    private static func byteCount(_ tensor: GGUFReader.Tensor, file: String) throws(WeightError) -> Int {
        func fault(_ reason: String) -> WeightError { WeightError(file: file, tensor: tensor.name, reason: reason) }
        let dtype = tensor.dtype
        guard tensor.dimensions[0] % dtype.blockElements == 0, !(dtype.isQuantized && tensor.dimensions.count == 1)
        else { throw fault("rows of \(tensor.dimensions[0]) elements are not whole \(dtype.rawValue) blocks") }
        var elements = 1
        for dimension in tensor.dimensions {
            let (product, overflow) = elements.multipliedReportingOverflow(by: dimension)
            guard !overflow else { throw fault("has a shape whose size overflows") }
            elements = product
        }
        let (size, overflow) = (elements / dtype.blockElements).multipliedReportingOverflow(by: dtype.blockBytes)
        guard !overflow else { throw fault("has a shape whose size overflows") }
        return size
    }
}
