/// Whole numbers as people write them on vLLM's command line: `1k` = 1000, `1K` = 1024, `25.6k` = 25,600.
/// Lower-case k, m, g and t are powers of 1000, upper-case ones of 1024. `auto` is -1.
enum CountNotation {
    /// nil if `text` is no such number, or does not fit an Int.
    static func read(_ text: String) -> Int? {
        if text.lowercased() == "auto" { return -1 }
        if let plain = Int(text) { return plain }
        guard let suffix = text.last, let unit = unit(suffix) else { return nil }
        let digits = text.dropLast()
        if let whole = Int(digits) {
            let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
            return overflow ? nil : product
        }
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }),
            let share = Double(digits)
        else { return nil }
        // 25.6 * 1000 is 25600.000000000004 in some orders of rounding: what is meant is the nearest below.
        return Int(exactly: (share * Double(unit) + 1e-6).rounded(.down))
    }

    private static func unit(_ suffix: Character) -> Int? {
        switch suffix {
        case "k": 1000
        case "m": 1_000_000
        case "g": 1_000_000_000
        case "t": 1_000_000_000_000
        case "K": 1 << 10
        case "M": 1 << 20
        case "G": 1 << 30
        case "T": 1 << 40
        default: nil
        }
    }
}
