/// Appends little-endian values: plans, results and whatever else other ranks are told.
package struct PlanWriter {
    package private(set) var bytes: [UInt8] = []

    package mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ value: Float) { write(value.bitPattern) }
    package mutating func write(_ value: Bool) { write(UInt8(value ? 1 : 0)) }

    /// Counts, positions and limits: 32 bits are enough for all of them, and more is cut off at the top.
    package mutating func write(size: Int) { write(UInt32(clamping: size)) }

    package mutating func write(_ range: Range<Int>) {
        write(size: range.lowerBound)
        write(size: range.upperBound)
    }

    package mutating func write(_ values: [Int32]) {
        write(size: values.count)
        for value in values { write(value) }
    }

    package mutating func write(bytes: [UInt8]) {
        write(size: bytes.count)
        self.bytes.append(contentsOf: bytes)
    }

    package mutating func write(text: String) { write(bytes: Array(text.utf8)) }

    package mutating func write<Element>(_ elements: [Element], _ body: (inout PlanWriter, Element) -> Void) {
        write(size: elements.count)
        for element in elements { body(&self, element) }
    }

    package mutating func write<Value>(optional value: Value?, _ body: (inout PlanWriter, Value) -> Void) {
        write(value != nil)
        if let value { body(&self, value) }
    }

    /// Begins a value: format and room for its length.
    package init(format: UInt32) {
        write(format)
        write(UInt32(0))
    }

    /// Ends it, with its length in place.
    package consuming func finish(limit: Int) throws(PlanCodingError) -> [UInt8] {
        if bytes.count > limit { throw .tooLong(byteCount: bytes.count, limit: limit) }
        withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { bytes.replaceSubrange(4..<8, with: $0) }
        return bytes
    }
}
