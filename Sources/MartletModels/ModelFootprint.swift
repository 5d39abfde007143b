import MartletTensor

/// What a model needs, counted from its configuration: the numbers behind memory plans and cost models.
package struct ModelFootprint: Sendable, Equatable {
    /// Weights as stored, in bytes.
    package let weightBytes: Int
    package let parameterCount: Int
    private let configuration: ModelConfiguration

    /// `dtype` and `quantization`: what plain matrices are stored as; nil and none = as the files have them.
    /// `weightBytes`: of ready-packed weights, which are of several types.
    package init(
        _ configuration: ModelConfiguration, dtype: DType? = nil, quantization: WeightQuantization = .none,
        weightBytes: Int? = nil
    ) {
        self.configuration = configuration
        let tensors = configuration.tensors
        parameterCount = tensors.reduce(0) { $0 + $1.elementCount }
        let storage = WeightStorage(dtype: dtype, quantization: quantization)
        self.weightBytes =
            weightBytes ?? tensors.reduce(0) { $0 + storage.type(of: $1).byteCount($1.elementCount) }
    }

    /// KV cache of one position over all layers, in bytes.
    package func cacheBytesPerToken(_ dtype: DType) -> Int {
        configuration.decoder.layerCount * configuration.decoder.heads.cacheBytesPerToken(dtype)
    }

    /// Multiply-adds times two of one row through the layers, head excluded.
    package var operationsPerRow: Double {
        let decoder = configuration.decoder
        let attention = decoder.hiddenSize * (decoder.heads.fusedWidth + decoder.heads.queryWidth)
        let feedForward = 3 * decoder.hiddenSize * decoder.intermediateSize
        return 2 * Double(decoder.layerCount) * Double(attention + feedForward)
    }

    /// Of one row attending to one position.
    package var operationsPerPair: Double {
        4 * Double(configuration.decoder.layerCount) * Double(configuration.decoder.heads.queryWidth)
    }

    /// Patches of a picture of 1080 x 2400 pixels, the usual screen of a phone.
    package static let screenshotPatches = 13416

    /// Of one vision unit, averaged over such a screenshot.
    package func operationsPerVisionUnit(stripRows: Int) -> Double {
        guard let vision = configuration.vision else { return 0 }
        let hidden = Double(vision.hiddenSize), rows = Double(stripRows)
        let products = 4 * hidden * hidden + 3 * hidden * Double(vision.blockIntermediateSize)
        let attention = 2 * Double(Self.screenshotPatches) * hidden
        return rows * (products + attention)
    }
}

extension AttentionHeads {
    /// A layer's key and value at one position, in bytes. A cache of q8_0 has a byte an element and an f32 scale for
    /// every head's key and value.
    package func cacheBytesPerToken(_ dtype: DType) -> Int {
        let scales = dtype.isQuantized ? 4 * keyValueCount : 0
        let elementBytes = dtype.isQuantized ? 1 : dtype.blockBytes
        return 2 * (keyValueWidth * elementBytes + scales)
    }
}
