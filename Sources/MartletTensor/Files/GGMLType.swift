/// The element types of GGUF, by their number in the file (MODEL.md 8.4).
enum GGMLType {
    private static let readable: [UInt32: DType] = [
        0: .f32, 1: .f16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 12: .q4_K, 13: .q5_K, 14: .q6_K,
        30: .bf16,
    ]
    private static let others: [UInt32: String] = [
        4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS",
        18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16",
        26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0",
        35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 39: "MXFP4",
    ]

    /// nil for types that Martlet does not read.
    static func dtype(_ id: UInt32) -> DType? { readable[id] }

    /// ggml's name of the type, or its number.
    static func name(_ id: UInt32) -> String { readable[id]?.rawValue ?? others[id] ?? "number \(id)" }

    /// The number of a type in GGUF files; for writers.
    static func id(_ dtype: DType) -> UInt32 { readable.first { $0.value == dtype }?.key ?? 0 }
}

extension DType {
    /// The number of this type in GGUF files.
    package var ggmlID: UInt32 { GGMLType.id(self) }
}
