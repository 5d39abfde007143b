import Foundation

/// A GGUF model: one file, or the parts `…-00001-of-0000N.gguf` of a split one joined. Tensors keep their GGUF
/// names; shapes are outermost first. Metadata is the first part's.
package final class GGUFFile: Sendable {
    private static let maxParts = 1000

    private struct Place: Sendable {
        let info: TensorInfo
        let part: GGUFPart
        let start: Int
    }

    package let path: String
    package let version: UInt32
    package let metadata: [String: GGUFValue]
    /// Every tensor, in the order of the files.
    package let tensors: [TensorInfo]
    private let places: [String: Place]
    private let parts: [GGUFPart]
    private let isHeader: Bool

    /// Opens the file, and its other parts if it is the first of a split model. Throws naming file and tensor.
    package convenience init(path: String) throws(WeightError) { try self.init(path: path, isHeader: false) }

    /// What `header` made: metadata and shapes, and no tensor that could be read.
    package convenience init(header path: String) throws(WeightError) { try self.init(path: path, isHeader: true) }

    private init(path: String, isHeader: Bool) throws(WeightError) {
        let first = try GGUFPart(path: path, isHeader: isHeader)
        var parts = [first]
        if let count = first.metadata["split.count"]?.integer, count > 1 {
            parts += try Self.otherParts(of: first, count: count)
        }
        var places: [String: Place] = [:]
        var tensors: [TensorInfo] = []
        for part in parts {
            for entry in part.entries {
                let place = Place(info: entry.info, part: part, start: entry.bytes.lowerBound)
                guard places.updateValue(place, forKey: entry.info.name) == nil else {
                    throw WeightError(file: part.path, tensor: entry.info.name, reason: "is in another part too")
                }
                tensors.append(entry.info)
            }
        }
        if let expected = first.metadata["split.tensors.count"]?.integer, expected != tensors.count {
            throw WeightError(
                file: path, reason: "has \(tensors.count) tensors where its parts should have \(expected)")
        }
        self.path = path
        self.parts = parts
        self.isHeader = isHeader
        version = first.version
        metadata = first.metadata
        self.tensors = tensors
        self.places = places
    }

    /// What kind of model a file says it is ("glm4", "llama", "clip"), read no further than that; nil if it is not
    /// a GGUF file.
    package static func architecture(ofFileAt path: String) -> String? { GGUFPart.architecture(ofFileAt: path) }

    /// Whether `name` is that of a later part of a split model, which is opened by its first.
    package static func isLaterPart(_ name: String) -> Bool {
        guard let split = split(name) else { return false }
        return split.number > 1
    }

    package func info(_ name: String) -> TensorInfo? { places[name]?.info }

    /// Lends rows `range` of a tensor as they are stored; `range` must lie inside it.
    package func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard let place = places[name] else { throw WeightError(file: path, tensor: name, reason: "is not there") }
        guard !isHeader else { throw WeightError(file: path, tensor: name, reason: "is not in a header") }
        let bytes = try place.info.byteRange(ofRows: range, file: place.part.path)
        try place.part.mapped.checkSize()
        let start = place.start + bytes.lowerBound
        return try body(UnsafeRawBufferPointer(rebasing: place.part.mapped.bytes[start..<start + bytes.count]))
    }

    /// Whether the model is in several files, which no one header describes.
    package var isSplit: Bool { parts.count > 1 }

    /// The file up to its data, to the byte: what `init(header:)` opens. nil if `isSplit`.
    package var header: [UInt8]? {
        guard !isSplit, let part = parts.first, part.dataStart <= part.mapped.byteCount else { return nil }
        return [UInt8](part.mapped.bytes[..<part.dataStart])
    }

    /// The tensor's pages will not be read again soon.
    package func discard(_ name: String) {
        guard let place = places[name] else { return }
        place.part.mapped.discard(place.start..<place.start + place.info.byteCount)
    }

    // MARK: Parts

    private static func otherParts(of first: GGUFPart, count: Int) throws(WeightError) -> [GGUFPart] {
        let directory = (first.path as NSString).deletingLastPathComponent
        let name = (first.path as NSString).lastPathComponent
        guard count <= maxParts, let split = split(name), split.count == count else {
            throw WeightError(
                file: first.path,
                reason: "is part of \(count) and is not named …-00001-of-\(padded(count)).gguf as such parts are")
        }
        guard split.number == 1, first.metadata["split.no"]?.integer == 0 else {
            throw WeightError(file: first.path, reason: "is a later part; open \(partName(split.stem, 1, count))")
        }
        var parts: [GGUFPart] = []
        for number in 2...count {
            let name = partName(split.stem, number, count)
            let path = (directory as NSString).appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: path) else {
                throw WeightError(file: first.path, reason: "its part \(name) is not there; is the download complete?")
            }
            let part = try GGUFPart(path: path)
            guard part.metadata["split.no"]?.integer == number - 1,
                part.metadata["split.count"]?.integer == count
            else { throw WeightError(file: path, reason: "does not say it is part \(number) of \(count)") }
            parts.append(part)
        }
        return parts
    }

    /// `stem-00002-of-00005.gguf` taken apart.
    private static func split(_ name: String) -> (stem: String, number: Int, count: Int)? {
        guard name.hasSuffix(".gguf") else { return nil }
        let pieces = name.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
        guard pieces.count >= 4, pieces[pieces.count - 2] == "of",
            let count = digits(pieces[pieces.count - 1]), let number = digits(pieces[pieces.count - 3])
        else { return nil }
        return (pieces.dropLast(3).joined(separator: "-"), number, count)
    }

    private static func digits(_ text: Substring) -> Int? {
        text.utf8.count == 5 && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }

    private static func partName(_ stem: String, _ number: Int, _ count: Int) -> String {
        "\(stem)-\(padded(number))-of-\(padded(count)).gguf"
    }

    private static func padded(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
}
