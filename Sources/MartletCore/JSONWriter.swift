/// Appends JSON to a byte buffer. Faster than an encoder by the price of naming the fields at the call: the
/// stream writes one chunk a token.
package struct JSONWriter {
    package var bytes: [UInt8] = []

    package init() {}

    /// The text so far.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Bytes that are JSON (or a piece of it) already.
    package mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// A quoted string; control characters, quotes and backslashes escaped, everything else as UTF-8.
    package mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case 0x0A: raw("\\n")
            case 0x0D: raw("\\r")
            case 0x09: raw("\\t")
            case 0x08: raw("\\b")
            case 0x0C: raw("\\f")
            case 0..<0x20:
                raw("\\u00")
                bytes.append(Self.hexDigits[Int(byte >> 4)])
                bytes.append(Self.hexDigits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// Shortest text that reads back as `value`; null if it is not finite, since JSON has no word for it.
    package mutating func number(_ value: Double) { raw(value.isFinite ? "\(value)" : "null") }

    package mutating func value(_ value: JSONValue) {
        switch value {
        case .null: raw("null")
        case .bool(let value): raw(value ? "true" : "false")
        case .integer(let value): raw("\(value)")
        case .number(let value): number(value)
        case .string(let value): string(value)
        case .array(let items):
            raw("[")
            for (index, item) in items.enumerated() {
                if index > 0 { raw(",") }
                self.value(item)
            }
            raw("]")
        case .object(let object):
            raw("{")
            for (index, entry) in object.entries.enumerated() {
                if index > 0 { raw(",") }
                string(entry.key)
                raw(":")
                self.value(entry.value)
            }
            raw("}")
        }
    }
}
