/// In what precision activations meet weights in products (D7); sums are f32, and whatever the batch, the same bits.
package enum ActivationPrecision: String, CaseIterable, Sendable {
    /// Exact: the products of the weights as they are.
    case f32
    /// With quantised weights eight bits and a scale for every 32 columns, exact integer sums within them: faster, and
    /// within 2e-2 of a product (relative L2). Plain weights meet f32.
    case int8
    /// As `int8`, and rounded to bf16 where they meet weights of bf16 and in the attention of a vision tower, within
    /// 5e-3 of a product: twice as fast where the processor has an instruction for it, no faster elsewhere.
    case bf16
}
