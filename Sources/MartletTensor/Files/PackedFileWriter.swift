import MartletCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Writes one ready-packed safetensors file (MODEL.md 8.5), tensor by tensor; nothing is held in memory. The header is
/// written last: a file that was not finished is none.
package final class PackedFileWriter {
    /// One tensor to come.
    package struct Item: Sendable, Equatable {
        /// As stored: the logical shape, and the type in the panels.
        package let info: TensorInfo
        /// Whether its bytes are panels; else they are its plain rows.
        package let isPanels: Bool

        package init(info: TensorInfo, isPanels: Bool) {
            self.info = info
            self.isPanels = isPanels
        }

        /// In the file. Throws if the shape has no size.
        package func byteCount(file: String) throws(WeightError) -> Int {
            guard isPanels else { return info.byteCount }
            guard let count = PackedPanels.byteCount(dtype: info.dtype, shape: info.shape) else {
                throw WeightError(
                    file: file, tensor: info.name,
                    reason: "\(info.dtype.rawValue) \(info.shape) cannot be packed in panels")
            }
            return count
        }
    }

    private static let dataAlignment = 4096
    private static let chunkBytes = 1 << 22

    private let path: String
    private let items: [Item]
    private let sizes: [Int]
    private let descriptor: Int32
    private let headerBytes: Int
    private var header: PackedHeader
    private var next = 0

    /// Creates the file; it must not be there. Panels must come before plain tensors, so that they are aligned.
    package init(path: String, layout: String, items: [Item]) throws(WeightError) {
        var sizes: [Int] = []
        for item in items { sizes.append(try item.byteCount(file: path)) }
        var header = PackedHeader(layout: layout, tensors: [:])
        for item in items {
            header.tensors[item.info.name] = PackedHeader.Tensor(
                panels: item.isPanels ? item.info : nil, digest: String(repeating: "0", count: 64))
        }
        guard header.tensors.count == items.count else { throw WeightError(file: path, reason: "a tensor comes twice") }
        let length = Self.headerText(header, items, sizes).utf8.count
        headerBytes = (8 + length + Self.dataAlignment - 1) / Self.dataAlignment * Self.dataAlignment
        guard headerBytes - 8 <= SafetensorsFile.maxHeaderBytes else {
            throw WeightError(file: path, reason: "\(items.count) tensors need too large a header")
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.lastError("cannot be created", path) }
        guard lseek(descriptor, off_t(headerBytes), SEEK_SET) >= 0 else {
            let error = Self.lastError("cannot be written", path)
            close(descriptor)
            throw error
        }
        self.path = path
        self.items = items
        self.sizes = sizes
        self.descriptor = descriptor
        self.header = header
    }

    deinit { close(descriptor) }

    /// The bytes of the next item, whole. Throws when they are not as many as the item says, or the disk is full.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(WeightError) {
        let name = items[next].info.name
        guard bytes.count == sizes[next] else {
            throw WeightError(file: path, tensor: name, reason: "\(bytes.count) bytes came instead of \(sizes[next])")
        }
        var hasher = DigestHasher()
        for start in stride(from: 0, to: bytes.count, by: Self.chunkBytes) {
            let chunk = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + Self.chunkBytes, bytes.count)])
            hasher.update(chunk)
            try put(chunk)
        }
        header.tensors[name]?.digest = "\(hasher.finish())"
        next += 1
    }

    /// Writes the header and waits until all is on the disk. Every item must have come.
    package func finish() throws(WeightError) {
        guard next == items.count else {
            throw WeightError(file: path, reason: "\(next) of \(items.count) tensors came")
        }
        var text = Array(Self.headerText(header, items, sizes).utf8)
        text += [UInt8](repeating: UInt8(ascii: " "), count: headerBytes - 8 - text.count)
        let length = withUnsafeBytes(of: UInt64(text.count).littleEndian) { [UInt8]($0) }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw Self.lastError("cannot be written", path) }
        let head = length + text
        var failure: WeightError?
        head.withUnsafeBytes { bytes in
            do throws(WeightError) { try put(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        guard fsync(descriptor) == 0 else { throw Self.lastError("cannot be written", path) }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(WeightError) {
        var done = 0
        while let base = bytes.baseAddress, done < bytes.count {
            #if canImport(Darwin)
                let count = Darwin.write(descriptor, base + done, bytes.count - done)
            #elseif canImport(Musl)
                let count = Musl.write(descriptor, base + done, bytes.count - done)
            #else
                let count = Glibc.write(descriptor, base + done, bytes.count - done)
            #endif
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.lastError("cannot be written", path) }
            done += count
        }
    }

    /// The JSON of a file of these tensors, one after the other.
    private static func headerText(_ header: PackedHeader, _ items: [Item], _ sizes: [Int]) -> String {
        var writer = JSONWriter()
        writer.raw("{\"__metadata__\":{")
        for (index, (key, value)) in header.metadata.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.string(key)
            writer.raw(":")
            writer.string(value)
        }
        writer.raw("}")
        var offset = 0
        for (item, size) in zip(items, sizes) {
            writer.raw(",")
            writer.string(item.info.name)
            let (dtype, shape) = item.isPanels ? ("U8", [size]) : (item.info.dtype.rawValue, item.info.shape)
            writer.raw(":{\"dtype\":\"\(dtype)\",\"shape\":\(PackedHeader.text(shape)),")
            writer.raw("\"data_offsets\":[\(offset),\(offset + size)]}")
            offset += size
        }
        writer.raw("}")
        return writer.text
    }

    private static func lastError(_ what: String, _ path: String) -> WeightError {
        WeightError(file: path, reason: "\(what): \(String(cString: strerror(errno)))")
    }
}
