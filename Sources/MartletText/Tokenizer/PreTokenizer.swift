/// How text is cut into the pieces that are merged each on its own. Expressions are known by name or by their exact
/// text and scanned by hand; none is ever interpreted.
struct PreTokenizer: Sendable, Equatable {
    enum Expression: Sendable, Equatable {
        /// GPT-4's, as GLM-4 and Llama-3 write it; numbers in groups of at most so many digits.
        case cl100k(digitGroup: Int)
        case gpt2
    }

    let expression: Expression
    /// Every number is a piece of its own before the expression looks at the text.
    let isolatesDigits: Bool

    static let glm4 = Self(expression: .cl100k(digitGroup: 3), isolatesDigits: false)
    static let llama3 = glm4
    static let qwen2 = Self(expression: .cl100k(digitGroup: 1), isolatesDigits: false)
    static let gpt2 = Self(expression: .gpt2, isolatesDigits: false)
    static let smollm = Self(expression: .gpt2, isolatesDigits: true)

    /// The expression that is written so in a tokenizer.json; nil for every other.
    init?(pattern: String) {
        let contractions = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
        let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        switch pattern {
        case contractions + #"\p{N}{1,3}"# + rest: self = .glm4
        case contractions + #"\p{N}"# + rest: self = .qwen2
        case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
            #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#:
            self = .gpt2
        default: return nil
        }
    }

    /// The pre-tokenizer of a GGUF file's `tokenizer.ggml.pre`; nil for names we do not know.
    init?(ggufName: String) {
        switch ggufName {
        case "glm4", "chatglm-bpe": self = .glm4
        case "llama-bpe", "llama3", "llama-v3": self = .llama3
        case "qwen2": self = .qwen2
        case "gpt-2": self = .gpt2
        case "smollm": self = .smollm
        default: return nil
        }
    }

    private init(expression: Expression, isolatesDigits: Bool) {
        self.expression = expression
        self.isolatesDigits = isolatesDigits
    }
}
