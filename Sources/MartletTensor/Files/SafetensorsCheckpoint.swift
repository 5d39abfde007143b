import MartletCore

/// A model in one `.safetensors` file or in the shards of `model.safetensors.index.json`, under canonical names.
/// Lent pointers have the alignment the file gives them: read with `loadUnaligned`.
package final class SafetensorsCheckpoint: WeightSource {
    package static let indexName = "model.safetensors.index.json"
    private static let maxIndexBytes = 64 << 20
    private static let maxShards = 4096

    private struct Place: Sendable {
        let info: TensorInfo
        let file: SafetensorsFile
        let start: Int
        /// Layout of its panels; nil for a tensor in rows.
        let layout: String?
    }

    private let places: [String: Place]
    /// Tensors that have a type nobody here reads, by canonical name.
    private let unreadable: [String: String]
    private let path: String
    private let files: [SafetensorsFile]
    /// Every tensor that can be used, in the order of the files.
    package let tensors: [TensorInfo]

    /// One file.
    package convenience init(file: String) throws(WeightError) {
        try self.init(path: file, files: [try SafetensorsFile(path: file)])
    }

    /// The checkpoint of a directory: `model.safetensors`, else the index's shards, else the only `.safetensors`
    /// file there is. Throws naming what is missing, or a tensor on which index and shards disagree.
    package convenience init(directory: CheckpointDirectory) throws(WeightError) {
        if let single = try directory.file("model.safetensors") {
            try self.init(file: single)
        } else if let index = try directory.read(Self.indexName, maxBytes: Self.maxIndexBytes) {
            try self.init(path: directory.path, files: try Self.shards(index, directory))
        } else {
            let names = directory.names.filter { $0.hasSuffix(".safetensors") }
            guard let name = names.first else {
                throw WeightError(file: directory.path, reason: "holds no .safetensors file")
            }
            guard names.count == 1, let file = try directory.file(name) else {
                throw WeightError(
                    file: directory.path,
                    reason: "holds \(names.count) .safetensors files and no \(Self.indexName) that says how they join")
            }
            try self.init(file: file)
        }
    }

    private init(path: String, files: [SafetensorsFile]) throws(WeightError) {
        var places: [String: Place] = [:]
        var unreadable: [String: String] = [:]
        var tensors: [TensorInfo] = []
        for file in files {
            for entry in file.entries {
                guard let name = TensorName.canonical(entry.name) else { continue }
                guard places[name] == nil, unreadable[name] == nil else {
                    throw WeightError(file: file.path, tensor: entry.name, reason: "is there twice (as \(name))")
                }
                let packed = file.packed?.tensors[entry.name]?.panels
                guard let dtype = packed?.dtype ?? entry.dtype else {
                    unreadable[name] = entry.dtypeName
                    continue
                }
                let info = TensorInfo(name: name, dtype: dtype, shape: packed?.shape ?? entry.shape)
                places[name] = Place(
                    info: info, file: file, start: entry.bytes.lowerBound,
                    layout: packed == nil ? nil : file.packed?.layout)
                tensors.append(info)
            }
        }
        self.places = places
        self.unreadable = unreadable
        self.path = path
        self.files = files
        self.tensors = tensors
    }

    package func info(_ name: String) -> TensorInfo? { places[name]?.info }

    /// The file's name for the type of a tensor that is there and cannot be read, for example "I64"; else nil.
    package func unreadableType(_ name: String) -> String? { unreadable[name] }

    package func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard let place = places[name] else {
            let reason = unreadable[name].map { "has dtype \($0); F32, F16 and BF16 are read" } ?? "is not there"
            throw WeightError(file: path, tensor: name, reason: reason)
        }
        guard place.layout == nil else {
            throw WeightError(file: place.file.path, tensor: name, reason: "is packed in panels and has no rows")
        }
        let bytes = try place.info.byteRange(ofRows: range, file: place.file.path)
        try place.file.mapped.checkSize()
        let start = place.start + bytes.lowerBound
        return try body(UnsafeRawBufferPointer(rebasing: place.file.mapped.bytes[start..<start + bytes.count]))
    }

    package func panels(_ name: String) throws -> PackedPanels? {
        guard let place = places[name], let layout = place.layout,
            let count = PackedPanels.byteCount(dtype: place.info.dtype, shape: place.info.shape)
        else { return nil }
        let range = place.start..<place.start + count
        try place.file.mapped.checkSize()
        place.file.mapped.expectUse(of: range)
        let bytes = UnsafeRawBufferPointer(rebasing: place.file.mapped.bytes[range])
        return PackedPanels(file: place.file.path, layout: layout, bytes: bytes, owner: place.file)
    }

    package func discard(_ name: String) {
        guard let place = places[name] else { return }
        let count = place.layout == nil
            ? place.info.byteCount : PackedPanels.byteCount(dtype: place.info.dtype, shape: place.info.shape) ?? 0
        place.file.mapped.discard(place.start..<place.start + count)
    }

    // MARK: Ready-packed files

    /// Whether `martlet quantize` made it: matrices lie in panels.
    package var isPacked: Bool { files.contains { $0.packed != nil } }

    /// Reads every byte of ready-packed files and compares digests. `checked` gets the bytes of each tensor. Throws
    /// naming the first tensor that is not what was written.
    package func checkDigests(_ checked: (Int) -> Void) throws(WeightError) {
        for file in files {
            for entry in file.entries {
                guard let stated = file.packed?.tensors[entry.name]?.digest else { continue }
                try file.mapped.checkSize()
                var hasher = DigestHasher()
                hasher.update(UnsafeRawBufferPointer(rebasing: file.mapped.bytes[entry.bytes]))
                guard "\(hasher.finish())" == stated else {
                    throw WeightError(
                        file: file.path, tensor: entry.name,
                        reason: "is not what was written (its sha256 is another): copy or make the file again")
                }
                file.mapped.discard(entry.bytes)
                checked(entry.bytes.count)
            }
        }
    }

    // MARK: Shards

    private static func shards(
        _ bytes: [UInt8], _ directory: CheckpointDirectory
    ) throws(WeightError) -> [SafetensorsFile] {
        let index = directory.path + "/" + indexName
        let map = try weightMap(bytes, index: index)
        var expected: [String: Set<String>] = [:]
        for (tensor, shard) in map { expected[shard, default: []].insert(tensor) }
        guard !expected.isEmpty, expected.count <= maxShards else {
            throw WeightError(file: index, reason: "names \(expected.count) shards; 1 to \(maxShards) are read")
        }
        var paths: [(path: String, tensors: Set<String>)] = []
        var missing: [String] = []
        for (shard, tensors) in expected.sorted(by: { $0.key < $1.key }) {
            if let path = try directory.file(shard) { paths.append((path, tensors)) } else { missing.append(shard) }
        }
        guard missing.isEmpty else {
            throw WeightError(
                file: index,
                reason: "these shards are not there: \(missing.joined(separator: ", ")); is the download complete?")
        }
        var files: [SafetensorsFile] = []
        for (path, tensors) in paths {
            let file = try SafetensorsFile(path: path)
            let found = Set(file.entries.map(\.name))
            if let name = tensors.subtracting(found).min() {
                throw WeightError(file: path, tensor: name, reason: "is missing here, where the index says it is")
            }
            if let name = found.subtracting(tensors).min() {
                throw WeightError(file: path, tensor: name, reason: "is here, where the index does not say so")
            }
            files.append(file)
        }
        return files
    }

    private static func weightMap(_ bytes: [UInt8], index: String) throws(WeightError) -> [(String, String)] {
        let document: JSONValue
        do { document = try JSONParser.parse(bytes) } catch { throw WeightError(file: index, reason: "\(error)") }
        guard let entries = document["weight_map"]?.object?.entries else {
            throw WeightError(file: index, reason: "has no weight_map")
        }
        var map: [(String, String)] = []
        for (tensor, value) in entries {
            guard let shard = value.string, shard.hasSuffix(".safetensors") else {
                throw WeightError(file: index, tensor: tensor, reason: "is not mapped to a .safetensors file")
            }
            map.append((tensor, shard))
        }
        return map
    }
}

extension TensorInfo {
    /// Bytes of the whole tensor as stored.
    package var byteCount: Int { rows * rowBytes }

    /// Where `range` of the rows lies in the tensor's bytes. Throws if it is not inside the tensor.
    func byteRange(ofRows range: Range<Int>, file: String) throws(WeightError) -> Range<Int> {
        guard range.lowerBound >= 0, range.upperBound <= rows else {
            throw WeightError(file: file, tensor: name, reason: "rows \(range) of \(rows) were asked for")
        }
        return range.lowerBound * rowBytes..<range.upperBound * rowBytes
    }
}
