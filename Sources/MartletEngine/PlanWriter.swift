/// Appends little-endian values.
struct PlanWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ value: Float) { write(value.bitPattern) }
    mutating func write(_ value: Bool) { write(UInt8(value ? 1 : 0)) }

    /// Counts, positions and limits: 32 bits are enough for all of them, and more is cut off at the top.
    mutating func write(size: Int) { write(UInt32(clamping: size)) }

    mutating func write(_ range: Range<Int>) {
        write(size: range.lowerBound)
        write(size: range.upperBound)
    }

    mutating func write(_ values: [Int32]) {
        write(size: values.count)
        for value in values { write(value) }
    }

    mutating func write<Element>(_ elements: [Element], _ body: (inout PlanWriter, Element) -> Void) {
        write(size: elements.count)
        for element in elements { body(&self, element) }
    }

    mutating func write<Value>(optional value: Value?, _ body: (inout PlanWriter, Value) -> Void) {
        write(value != nil)
        if let value { body(&self, value) }
    }

    /// Begins a value: format and room for its length.
    init(format: UInt32) {
        write(format)
        write(UInt32(0))
    }

    /// Ends it, with its length in place.
    consuming func finish(limit: Int) throws(PlanCodingError) -> [UInt8] {
        if bytes.count > limit { throw .tooLong(byteCount: bytes.count, limit: limit) }
        withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { bytes.replaceSubrange(4..<8, with: $0) }
        return bytes
    }
}
