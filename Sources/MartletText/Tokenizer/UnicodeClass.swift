/// What a pre-tokenizer needs to know about a scalar.
enum UnicodeClass {
    static let other: UInt8 = 0
    static let letter: UInt8 = 1
    static let number: UInt8 = 2
    /// White space that does not end a line.
    static let space: UInt8 = 3
    /// CR or LF.
    static let newline: UInt8 = 4
    /// A number to `Digits`, but `other` to the expressions.
    static let digitOnly: UInt8 = 5
    /// Past the end of the text.
    static let end: UInt8 = 6

    /// Class of every scalar: [0x110000].
    static let table: [UInt8] = {
        var table = [UInt8](repeating: other, count: 0x110000)
        func mark(_ ranges: [UInt32], _ kind: UInt8) {
            table.withUnsafeMutableBufferPointer { table in
                for index in stride(from: 0, to: ranges.count, by: 2) {
                    table[Int(ranges[index])...Int(ranges[index + 1])].update(repeating: kind)
                }
            }
        }
        mark(UnicodeClassRanges.letters, letter)
        mark(UnicodeClassRanges.numbers, number)
        mark(UnicodeClassRanges.digitsOnly, digitOnly)
        mark(UnicodeClassRanges.spaces, space)
        mark([0x0A, 0x0A, 0x0D, 0x0D], newline)
        return table
    }()
}
