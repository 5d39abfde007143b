import ArgumentParser
import MartletTensor

/// What a command that measures is given several of, separated by commas.
enum BenchList {
    /// Throws `ValidationError` naming `option`, and `example` of what it takes.
    static func counts(
        _ text: String, in range: ClosedRange<Int>, multiplesOf unit: Int = 1, option: String, example: String
    ) throws -> [Int] {
        let counts = text.split(separator: ",").map { Int($0) ?? 0 }
        guard !counts.isEmpty, counts.allSatisfy({ range.contains($0) && $0 % unit == 0 }) else {
            let kind = unit == 1 ? "numbers" : "multiples of \(unit)"
            throw ValidationError(
                "\(option) takes \(kind) from \(range.lowerBound) to \(range.upperBound) such as \(example).")
        }
        return counts
    }

    /// Types of weights. Throws `ValidationError`.
    static func types(_ text: String, option: String = "--weights") throws -> [DType] {
        let names = text.split(separator: ",").map { $0.uppercased() }
        let types = names.compactMap { name in DType.allCases.first { $0.rawValue.uppercased() == name } }
        guard !types.isEmpty, types.count == names.count else {
            throw ValidationError("\(option) takes types such as q4_0,q8_0,bf16.")
        }
        return types
    }
}
