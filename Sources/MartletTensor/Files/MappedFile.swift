#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Owner of a read-only mapping of one regular file. The file is opened without blocking, so a pipe or a device
/// in a model's directory is refused instead of hanging the start.
///
/// `@unchecked Sendable`: nothing changes after `init`, and the mapping is read-only.
package struct MappedFile: ~Copyable, @unchecked Sendable {
    /// As given; errors name it.
    package let path: String
    /// Size when opened. `checkSize` says whether the file still has it.
    package let byteCount: Int
    /// The whole file. Valid as long as the owner lives and the file has not shrunk: call `checkSize` first.
    let bytes: UnsafeRawBufferPointer
    private let descriptor: Int32

    /// Maps `path` and advises the kernel of sequential reading. Throws if it cannot be opened, is not a regular
    /// file or cannot be mapped.
    package init(path: String) throws(WeightError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw WeightError(file: path, reason: Self.lastReason("cannot be opened")) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw WeightError(file: path, reason: "is not a regular file")
        }
        let count = Int(status.st_size)
        var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        if count > 0 {
            let base = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
            guard let base, base != MAP_FAILED else {
                let reason = Self.lastReason("cannot be mapped")
                close(descriptor)
                throw WeightError(file: path, reason: reason)
            }
            madvise(base, count, MADV_SEQUENTIAL)
            bytes = UnsafeRawBufferPointer(start: base, count: count)
        }
        self.path = path
        self.byteCount = count
        self.bytes = bytes
        self.descriptor = descriptor
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
        close(descriptor)
    }

    /// Throws if the file is shorter now than when it was opened: touching the lost pages would end the process.
    package borrowing func checkSize() throws(WeightError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, Int(status.st_size) >= byteCount else {
            throw WeightError(file: path, reason: "has shrunk since it was opened (\(byteCount) bytes then)")
        }
    }

    /// The bytes of `range` will not be read again soon: their pages leave this process. Reading them again is
    /// allowed and slow.
    package borrowing func discard(_ range: Range<Int>) {
        guard let base = bytes.baseAddress, !range.isEmpty, range.lowerBound >= 0, range.upperBound <= byteCount
        else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = range.lowerBound / page * page
        madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, MADV_DONTNEED)
    }

    /// The bytes of `range` will be read again and again, from now on and in no order.
    package borrowing func expectUse(of range: Range<Int>) {
        guard let base = bytes.baseAddress, !range.isEmpty, range.lowerBound >= 0, range.upperBound <= byteCount
        else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = range.lowerBound / page * page
        let memory = UnsafeMutableRawPointer(mutating: base + start)
        madvise(memory, range.upperBound - start, MADV_NORMAL)
        madvise(memory, range.upperBound - start, MADV_WILLNEED)
    }

    private static func lastReason(_ what: String) -> String { "\(what): \(String(cString: strerror(errno)))" }
}
