import MartletTensor

/// A convolution weight [outputs, inputs, taps] lent with its rows reordered to [taps, inputs], so that it is a
/// matrix over patches that lie one after the other (MODEL.md 2.1.7). Values are not changed. Other tensors are lent as
/// they are.
final class MergedConvolution: WeightSource {
    private let source: any WeightSource
    private let name: String
    private let taps: Int

    init(_ source: any WeightSource, _ configuration: VisionConfiguration) {
        self.source = source
        name = TensorName.downsample
        taps = configuration.mergeSize * configuration.mergeSize
    }

    func info(_ name: String) -> TensorInfo? {
        guard let info = source.info(name), name == self.name else { return source.info(name) }
        return TensorInfo(name: name, dtype: info.dtype, shape: [info.rows, info.columns])
    }

    func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard name == self.name, let info = source.info(name) else { return try source.withRows(name, range, body) }
        guard !info.dtype.isQuantized, info.columns % taps == 0 else {
            throw WeightError(
                file: "checkpoint", tensor: name,
                reason: "\(info.dtype.rawValue) \(info.shape) is not a plain \(taps)-tap convolution")
        }
        let inputs = info.columns / taps, size = info.dtype.blockBytes
        return try source.withRows(name, range) { stored in
            var merged = [UInt8](repeating: 0, count: stored.count)
            merged.withUnsafeMutableBytes { merged in
                for row in 0..<range.count {
                    for input in 0..<inputs {
                        for tap in 0..<taps {
                            let from = (row * info.columns + input * taps + tap) * size
                            let to = (row * info.columns + tap * inputs + input) * size
                            for byte in 0..<size { merged[to + byte] = stored[from + byte] }
                        }
                    }
                }
            }
            return try merged.withUnsafeBytes(body)
        }
    }

    /// Ready-packed files hold the convolution in the order of the product (MODEL.md 8.5).
    func panels(_ name: String) throws -> PackedPanels? { try source.panels(name) }

    func discard(_ name: String) { source.discard(name) }
}
