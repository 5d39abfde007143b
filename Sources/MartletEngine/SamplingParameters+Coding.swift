import MartletCore

/// The bytes of sampling parameters within a plan: fields in the order of their declaration.
extension PlanWriter {
    mutating func write(_ sampling: SamplingParameters) {
        write(sampling.temperature)
        write(size: sampling.topK)
        write(sampling.topP)
        write(sampling.minP)
        write(optional: sampling.seed) { $0.write($1) }
        write(sampling.presencePenalty)
        write(sampling.frequencyPenalty)
        write(sampling.repetitionPenalty)
        // Sorted, so that equal plans have equal bytes.
        write(sampling.logitBias.sorted { $0.key < $1.key }) {
            $0.write($1.key)
            $0.write($1.value)
        }
        write(optional: sampling.allowedTokens) { $0.write($1) }
        write(size: sampling.maxTokens)
        write(size: sampling.minTokens)
        write(sampling.stopTokens)
        write(sampling.ignoresEndOfGeneration)
        write(optional: sampling.logprobCount) { $0.write(size: $1) }
        write(size: sampling.choiceCount)
    }
}

extension SamplingParameters {
    init(from reader: inout PlanReader) throws(PlanCodingError) {
        self.init()
        temperature = try reader.float("temperature")
        topK = try reader.size("topK")
        topP = try reader.float("topP")
        minP = try reader.float("minP")
        seed = try reader.optional("seed") { (reader) throws(PlanCodingError) in try reader.integer("seed") }
        presencePenalty = try reader.float("presencePenalty")
        frequencyPenalty = try reader.float("frequencyPenalty")
        repetitionPenalty = try reader.float("repetitionPenalty")
        let biases = try reader.array("logitBias", elementBytes: 8) { (reader) throws(PlanCodingError) in
            (token: try reader.integer("logitBias") as TokenID, bias: try reader.float("logitBias"))
        }
        for entry in biases {
            guard logitBias.updateValue(entry.bias, forKey: entry.token) == nil else {
                throw .invalid(field: "logitBias")
            }
        }
        allowedTokens = try reader.optional("allowedTokens") { (reader) throws(PlanCodingError) in
            try reader.integers("allowedTokens")
        }
        maxTokens = try reader.size("maxTokens")
        minTokens = try reader.size("minTokens")
        stopTokens = try reader.integers("stopTokens")
        ignoresEndOfGeneration = try reader.bool("ignoresEndOfGeneration")
        logprobCount = try reader.optional("logprobCount") { (reader) throws(PlanCodingError) in
            try reader.size("logprobCount")
        }
        choiceCount = try reader.size("choiceCount")
    }
}
