/// The functions in a file's code (`CodeText.bytes`) and how many lines each takes, from its name to its last brace.
struct FunctionLengths {
    struct Function: Equatable {
        let name: String
        /// From 1.
        let line: Int
        let length: Int
    }

    private(set) var functions: [Function] = []

    init(swift code: [UInt8]) {
        var line = 1
        var index = 0
        while index < code.count {
            if code[index] == UInt8(ascii: "\n") { line += 1 }
            let word = Self.word(code, at: index)
            guard ["func", "init", "deinit", "subscript"].contains(word) else {
                index += max(1, word.utf8.count)
                continue
            }
            if let end = Self.body(code, from: index + word.utf8.count) {
                let length = code[index...end].count { $0 == UInt8(ascii: "\n") } + 1
                let rest = code[(index + word.utf8.count)...].drop { $0 == UInt8(ascii: " ") }
                let name = word == "func" ? Self.word(code, at: rest.startIndex) : word
                functions.append(Function(name: name.isEmpty ? "operator" : name, line: line, length: length))
            }
            index += word.utf8.count
        }
    }

    /// Of C only bodies that begin outside all others count.
    init(c code: [UInt8]) {
        var depth = 0
        var line = 1
        var start = 1
        var before: UInt8 = 0
        var isFunction = false
        for byte in code {
            switch byte {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: "{"):
                if depth == 0 { (start, isFunction) = (line, before == UInt8(ascii: ")")) }
                depth += 1
            case UInt8(ascii: "}"):
                depth -= 1
                if depth == 0, isFunction {
                    functions.append(Function(name: "line \(start)", line: start, length: line - start + 1))
                }
            default: break
            }
            if byte > UInt8(ascii: " ") { before = byte }
        }
    }

    /// The identifier that begins at `index`; empty in the middle of one.
    private static func word(_ code: [UInt8], at index: Int) -> String {
        guard index < code.count, isLetter(code[index]), index == 0 || !isLetter(code[index - 1]),
            index == 0 || code[index - 1] != UInt8(ascii: ".")
        else { return "" }
        return String(decoding: code[index...].prefix(while: isLetter), as: UTF8.self)
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
            || (0x61...0x7A).contains(byte)
    }

    /// The closing brace of the body that a declaration has; nil for a requirement of a protocol.
    private static func body(_ code: [UInt8], from start: Int) -> Int? {
        var index = start
        var parentheses = 0
        while index < code.count {
            let byte = code[index]
            if byte == UInt8(ascii: "(") { parentheses += 1 }
            if byte == UInt8(ascii: ")") { parentheses -= 1 }
            if parentheses == 0 {
                if byte == UInt8(ascii: "{") { return closing(code, from: index) }
                if byte == UInt8(ascii: "}") || ["func", "var", "let", "init"].contains(word(code, at: index)) {
                    return nil
                }
            }
            index += 1
        }
        return nil
    }

    private static func closing(_ code: [UInt8], from open: Int) -> Int? {
        var depth = 0
        for index in open..<code.count {
            if code[index] == UInt8(ascii: "{") { depth += 1 }
            if code[index] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return index }
        }
        return nil
    }
}
