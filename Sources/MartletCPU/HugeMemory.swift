#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Anonymous memory of its own, zeroed, aligned to a page and, from 2 MiB on, to a huge page that the kernel is
/// asked to use. Pages become resident when first touched.
struct HugeMemory: ~Copyable {
    let start: UnsafeMutableRawPointer
    let byteCount: Int
    private let mapped: Int

    private static let hugePage = 2 << 20

    /// Throws `MemoryError` when the address space or the memory is not to be had. Zero bytes are legal.
    init(byteCount: Int) throws(MemoryError) {
        let isHuge = byteCount >= Self.hugePage
        let alignment = isHuge ? Self.hugePage : 4096
        guard byteCount >= 0, byteCount <= Int.max - 2 * alignment else { throw MemoryError(byteCount: byteCount) }
        let length = max(byteCount + alignment - 1, 1) / alignment * alignment
        let reserved = isHuge ? length + alignment : max(length, alignment)
        let flags = MAP_PRIVATE | MAP_ANON
        guard let base = mmap(nil, reserved, PROT_READ | PROT_WRITE, flags, -1, 0), base != MAP_FAILED else {
            throw MemoryError(byteCount: byteCount)
        }
        guard isHuge else {
            (start, self.byteCount, mapped) = (base, byteCount, reserved)
            return
        }
        let skip = (alignment - Int(bitPattern: base) % alignment) % alignment
        if skip > 0 { munmap(base, skip) }
        if skip < alignment { munmap(base + skip + length, alignment - skip) }
        start = base + skip
        self.byteCount = byteCount
        mapped = length
        #if os(Linux)
        madvise(start, mapped, Int32(MADV_HUGEPAGE))
        #endif
    }

    /// Makes these bytes resident now rather than when they are first touched, where the system knows how.
    func populate(_ bytes: Range<Int>) {
        #if os(Linux)
        let populateWrite: Int32 = 23
        let first = bytes.lowerBound / 4096 * 4096
        madvise(start + first, min(bytes.upperBound, byteCount) - first, populateWrite)
        #endif
    }

    deinit {
        munmap(start, mapped)
    }
}

/// Memory that the system would not give.
package struct MemoryError: Error, Equatable, CustomStringConvertible {
    package let byteCount: Int

    package init(byteCount: Int) { self.byteCount = byteCount }

    package var description: String { "no memory for \(byteCount) bytes" }
}
