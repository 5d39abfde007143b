/// Takes little-endian values from the front of bytes that may be wrong.
package struct PlanReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    /// Checks format, limit and length: `bytes` is exactly one value.
    package init(_ bytes: [UInt8], format: UInt32, limit: Int) throws(PlanCodingError) {
        if bytes.count > limit { throw .tooLong(byteCount: bytes.count, limit: limit) }
        self.bytes = bytes[...]
        position = 0
        let found: UInt32 = try integer("format")
        if found != format { throw .unknownFormat(found) }
        let length: UInt32 = try integer("length")
        if bytes.count < Int(length) { throw .truncated(field: "length") }
        if bytes.count > Int(length) { throw .trailingBytes(count: bytes.count - Int(length)) }
    }

    package func finish() throws(PlanCodingError) {
        if position < bytes.endIndex { throw .trailingBytes(count: bytes.endIndex - position) }
    }

    package mutating func integer<Value: FixedWidthInteger>(_ field: String) throws(PlanCodingError) -> Value {
        let size = Value.bitWidth / 8
        guard bytes.endIndex - position >= size else { throw .truncated(field: field) }
        var value: Value = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes[position..<(position + size)]) }
        position += size
        return Value(littleEndian: value)
    }

    package mutating func float(_ field: String) throws(PlanCodingError) -> Float {
        Float(bitPattern: try integer(field))
    }

    package mutating func bool(_ field: String) throws(PlanCodingError) -> Bool {
        let byte: UInt8 = try integer(field)
        guard byte <= 1 else { throw .invalid(field: field) }
        return byte == 1
    }

    package mutating func size(_ field: String) throws(PlanCodingError) -> Int {
        let value: UInt32 = try integer(field)
        guard value <= UInt32(Int32.max) else { throw .invalid(field: field) }
        return Int(value)
    }

    package mutating func range(_ field: String) throws(PlanCodingError) -> Range<Int> {
        let lower = try size(field)
        let upper = try size(field)
        guard lower <= upper else { throw .invalid(field: field) }
        return lower..<upper
    }

    package mutating func integers(_ field: String) throws(PlanCodingError) -> [Int32] {
        try array(field, elementBytes: 4) { (reader) throws(PlanCodingError) in try reader.integer(field) }
    }

    package mutating func bytes(_ field: String) throws(PlanCodingError) -> [UInt8] {
        let count = try size(field)
        guard count <= bytes.endIndex - position else { throw .truncated(field: field) }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }

    package mutating func text(_ field: String) throws(PlanCodingError) -> String {
        guard let text = String(validating: try bytes(field), as: UTF8.self) else { throw .invalid(field: field) }
        return text
    }

    /// `elementBytes` is the least an element takes: a count that the rest cannot hold is refused before anything is
    /// allocated.
    package mutating func array<Element>(
        _ field: String, elementBytes: Int, _ body: (inout PlanReader) throws(PlanCodingError) -> Element
    ) throws(PlanCodingError) -> [Element] {
        let count = try size(field)
        guard count <= (bytes.endIndex - position) / elementBytes else { throw .truncated(field: field) }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try body(&self)) }
        return elements
    }

    package mutating func optional<Value>(
        _ field: String, _ body: (inout PlanReader) throws(PlanCodingError) -> Value
    ) throws(PlanCodingError) -> Value? {
        try bool(field) ? try body(&self) : nil
    }
}
