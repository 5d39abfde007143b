import MartletCore
import MartletTensor

/// The graphs Martlet runs, by the name in `config.json`'s `architectures`.
package enum ModelArchitecture: String, Sendable, CaseIterable {
    case glm4v = "Glm4vForConditionalGeneration"
    case glm4 = "Glm4ForCausalLM"
    case llama = "LlamaForCausalLM"
}

/// What a checkpoint is, from `config.json` or GGUF metadata.
package struct ModelConfiguration: Sendable, Equatable {
    package var architecture: ModelArchitecture
    package var decoder: DecoderConfiguration
    /// nil for text-only models.
    package var vision: VisionConfiguration?
    /// Placeholder token of one merged patch; nil for text-only models.
    package var imageToken: TokenID?
    /// Union of config.json's and generation_config.json's ids (MODEL.md 4.3); text look-ups add to it later.
    package var endTokens: [TokenID]
    /// Storage type most of the matrices have.
    package var dtype: DType

    package init(
        architecture: ModelArchitecture, decoder: DecoderConfiguration, vision: VisionConfiguration?,
        imageToken: TokenID?, endTokens: [TokenID], dtype: DType
    ) {
        self.architecture = architecture
        self.decoder = decoder
        self.vision = vision
        self.imageToken = imageToken
        self.endTokens = endTokens
        self.dtype = dtype
    }
}
