import MartletCore

/// Recognises the `pre_tokenizer` of a tokenizer.json.
struct PreTokenizerReader {
    let faults: TokenizerFaults

    func read(_ value: JSONValue?) throws(TokenizerError) -> PreTokenizer {
        guard let value, !value.isNull else { throw faults.fault("pre_tokenizer", "none is not supported") }
        var steps = [value]
        if value["type"]?.string == "Sequence" {
            guard let list = value["pretokenizers"]?.array, !list.isEmpty else {
                throw faults.fault("pre_tokenizer.pretokenizers", "not a list")
            }
            steps = list
        }
        guard let last = steps.last, last["type"]?.string == "ByteLevel" else {
            throw faults.fault("pre_tokenizer", "\(TokenizerFile.name(of: value)) does not end in ByteLevel")
        }
        if last["add_prefix_space"]?.bool ?? true {
            throw faults.fault("pre_tokenizer.add_prefix_space", "true is not supported")
        }
        let usesExpression = last["use_regex"]?.bool ?? true
        if steps.count == 1 && usesExpression { return .gpt2 }
        guard steps.count == 2 else { throw faults.fault("pre_tokenizer", "this sequence is not supported") }
        switch (steps[0]["type"]?.string, usesExpression) {
        case ("Split", false): return try split(steps[0])
        case ("Digits", true):
            guard steps[0]["individual_digits"]?.bool == true else {
                throw faults.fault("pre_tokenizer.individual_digits", "false is not supported")
            }
            return .smollm
        default:
            throw faults.fault("pre_tokenizer", "\(TokenizerFile.name(of: steps[0])) before ByteLevel is not supported")
        }
    }

    private func split(_ step: JSONValue) throws(TokenizerError) -> PreTokenizer {
        guard step["behavior"]?.string == "Isolated", step["invert"]?.bool != true else {
            throw faults.fault("pre_tokenizer.behavior", "only Isolated, not inverted, is supported")
        }
        guard let pattern = step["pattern"]?["Regex"]?.string else {
            throw faults.fault("pre_tokenizer.pattern", "not an expression")
        }
        guard let known = PreTokenizer(pattern: pattern) else {
            throw faults.fault("pre_tokenizer.pattern", "the expression \(TokenizerFile.quoted(pattern)) is not known")
        }
        return known
    }
}
