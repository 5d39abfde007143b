/// The names every checkpoint is presented under, whatever its files say (MODEL.md 1.6):
/// `model.language_model.…`, `lm_head.weight`, `model.visual.…`.
package enum TensorName {
    package static let textPrefix = "model.language_model."
    package static let visionPrefix = "model.visual."
    package static let embedding = "model.language_model.embed_tokens.weight"
    package static let downsample = "model.visual.downsample.weight"
    package static let head = "lm_head.weight"

    private static let aliases = [
        (textPrefix, textPrefix), (visionPrefix, visionPrefix), ("language_model.model.", textPrefix),
        ("visual.", visionPrefix), ("model.", textPrefix),
    ]

    /// The canonical name of a Hugging Face tensor name, nil for tensors that hold no weights of the model
    /// (`rotary_emb.inv_freq`).
    package static func canonical(_ name: String) -> String? {
        if name.hasSuffix("rotary_emb.inv_freq") { return nil }
        if name == "language_model.lm_head.weight" { return head }
        for (alias, prefix) in aliases where name.hasPrefix(alias) { return prefix + name.dropFirst(alias.count) }
        return name
    }
}
