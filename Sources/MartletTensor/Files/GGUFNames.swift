/// GGUF's tensor names under the canonical ones (MODEL.md 8.2, 8.3).
enum GGUFNames {
    /// The canonical name of a text tensor; nil for tensors that are not weights of the model (`rope_freqs`).
    /// `hasFusedGate`: `ffn_up` holds gate and up rows, as GLM's do.
    static func text(_ name: String, isGLM: Bool, hasFusedGate: Bool) -> String? {
        switch name {
        case "token_embd.weight": return TensorName.embedding
        case "output_norm.weight": return TensorName.textPrefix + "norm.weight"
        case "output.weight": return TensorName.head
        case "rope_freqs.weight": return nil
        default: break
        }
        guard let block = block(name, prefix: "blk.") else { return name }
        let stem: String? =
            switch block.stem {
            case "attn_norm": "input_layernorm"
            case "attn_q": "self_attn.q_proj"
            case "attn_k": "self_attn.k_proj"
            case "attn_v": "self_attn.v_proj"
            case "attn_output": "self_attn.o_proj"
            case "post_attention_norm" where isGLM: "post_self_attn_layernorm"
            case "post_ffw_norm" where isGLM: "post_mlp_layernorm"
            case "ffn_norm": "post_attention_layernorm"
            case "ffn_gate": "mlp.gate_proj"
            case "ffn_up": hasFusedGate ? "mlp.gate_up_proj" : "mlp.up_proj"
            case "ffn_down": "mlp.down_proj"
            default: nil
            }
        guard let stem else { return block.stem == "attn_rot_embd" ? nil : name }
        return "\(TensorName.textPrefix)layers.\(block.index).\(stem).\(block.suffix)"
    }

    /// The canonical name of a tensor of the vision file. The two slices of the patch embedding are not here: they
    /// become one tensor.
    static func vision(_ name: String) -> String {
        let plain = [
            "v.patch_embd.bias": "patch_embed.proj.bias", "v.norm_embd.weight": "post_conv_layernorm.weight",
            "v.position_embd.weight": "embeddings.position_embedding.weight",
            "v.post_ln.weight": "post_layernorm.weight", "mm.patch_merger.weight": "downsample.weight",
            "mm.patch_merger.bias": "downsample.bias", "mm.model.fc.weight": "merger.proj.weight",
            "mm.post_norm.weight": "merger.post_projection_norm.weight",
            "mm.post_norm.bias": "merger.post_projection_norm.bias", "mm.gate.weight": "merger.gate_proj.weight",
            "mm.up.weight": "merger.up_proj.weight", "mm.down.weight": "merger.down_proj.weight",
        ]
        if let canonical = plain[name] { return TensorName.visionPrefix + canonical }
        let stems = [
            "ln1": "norm1", "ln2": "norm2", "attn_qkv": "attn.qkv", "attn_out": "attn.proj",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
        ]
        guard let block = block(name, prefix: "v.blk."), let stem = stems[block.stem] else { return name }
        return "\(TensorName.visionPrefix)blocks.\(block.index).\(stem).\(block.suffix)"
    }

    /// `prefix` N `.stem.suffix` taken apart.
    private static func block(_ name: String, prefix: String) -> (index: Int, stem: String, suffix: String)? {
        guard name.hasPrefix(prefix) else { return nil }
        let pieces = name.dropFirst(prefix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard pieces.count == 3, let index = Int(pieces[0]), index >= 0, "\(index)" == pieces[0],
            pieces[2] == "weight" || pieces[2] == "bias"
        else { return nil }
        return (index, String(pieces[1]), String(pieces[2]))
    }
}
