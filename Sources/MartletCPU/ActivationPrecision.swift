/// In what precision activations meet quantised weights (D7); plain weights always meet f32.
package enum ActivationPrecision: String, CaseIterable, Sendable {
    /// Exact: the products of the dequantised weights.
    case f32
    /// Eight bits with a scale for every 32 columns, exact integer sums within them: faster, and within 2e-2 of
    /// a product (relative L2). Whatever the batch, the same bits.
    case int8
}
