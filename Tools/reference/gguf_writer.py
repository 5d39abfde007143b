"""Writes a tiny GLM-4.1V as GGUF text + mmproj files, names and order as llama.cpp's converter leaves them
(MODEL.md 8.2, 8.3). With `quantized`, matrices take turns through the 32-element block types, and the model's own
weights become what the file holds, so that its logits are the file's."""
import gguf
import numpy as np
import torch

BLOCK_TYPES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "F16", "BF16"]


def rotary_order(heads, head_dim, rotary_dim):
    """Rows of q or k in the file: even rotary dimensions, then odd ones, then the rest, head by head."""
    one = list(range(0, rotary_dim, 2)) + list(range(1, rotary_dim, 2)) + list(range(rotary_dim, head_dim))
    return np.concatenate([np.array(one) + h * head_dim for h in range(heads)])


class Writer:
    def __init__(self, path, architecture, quantized):
        self.writer = gguf.GGUFWriter(str(path), architecture)
        self.turn = 0
        self.quantized = quantized

    def add(self, name, parameter, order=None, reshape=None, exact=False):
        """One tensor. `order` permutes its rows in the file."""
        data = parameter.detach().numpy().astype(np.float32)
        matrix = reshape(data) if reshape else data
        kind = "F32"
        if self.quantized and not exact and matrix.ndim == 2 and matrix.shape[1] % 32 == 0:
            kind = BLOCK_TYPES[self.turn % len(BLOCK_TYPES)]
            self.turn += 1
        qtype = getattr(gguf.GGMLQuantizationType, kind)
        stored = gguf.quants.quantize(matrix, qtype)
        back = gguf.quants.dequantize(stored, qtype).astype(np.float32).reshape(matrix.shape)
        with torch.no_grad():
            if reshape is None:
                parameter.copy_(torch.from_numpy(back))
        if order is not None:
            stored = stored[order]
        self.writer.add_tensor(name, np.ascontiguousarray(stored), raw_dtype=qtype)

    def finish(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def write_text(model, config, path, quantized):
    text = config["text_config"]
    heads, kv = text["num_attention_heads"], text["num_key_value_heads"]
    head_dim = text["hidden_size"] // heads
    rope = text["rope_parameters"]
    rotary = int(head_dim * rope["partial_rotary_factor"])
    out = Writer(path, "glm4", quantized)
    w = out.writer
    w.add_block_count(text["num_hidden_layers"])
    w.add_context_length(text["max_position_embeddings"])
    w.add_embedding_length(text["hidden_size"])
    w.add_feed_forward_length(text["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_layer_norm_rms_eps(text["rms_norm_eps"])
    w.add_rope_freq_base(float(rope["rope_theta"]))
    w.add_rope_dimension_count(rotary)
    w.add_rope_dimension_sections(rope["mrope_section"] + [0])
    w.add_vocab_size(text["vocab_size"])
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("glm4")
    names = [f"<t{i}>" for i in range(text["vocab_size"])]
    names[303], names[299], names[300] = "<|image|>", "<|begin_of_image|>", "<|end_of_image|>"
    names[289], names[296] = "<|endoftext|>", "<|user|>"
    w.add_token_list(names)
    w.add_token_types([3 if i >= 289 else 1 for i in range(text["vocab_size"])])
    w.add_token_merges([])
    w.add_eos_token_id(289)
    w.add_eot_token_id(296)
    w.add_add_bos_token(False)
    decoder = model.model.language_model
    out.add("token_embd.weight", decoder.embed_tokens.weight)
    out.add("output_norm.weight", decoder.norm.weight)
    out.add("output.weight", model.lm_head.weight)
    for i, layer in enumerate(decoder.layers):
        b, a = f"blk.{i}.", layer.self_attn
        out.add(b + "attn_norm.weight", layer.input_layernorm.weight)
        for short, projection, count in (("q", a.q_proj, heads), ("k", a.k_proj, kv)):
            order = rotary_order(count, head_dim, rotary)
            out.add(b + f"attn_{short}.weight", projection.weight, order=order)
            out.add(b + f"attn_{short}.bias", projection.bias, order=order)
        out.add(b + "attn_v.weight", a.v_proj.weight)
        out.add(b + "attn_v.bias", a.v_proj.bias)
        out.add(b + "attn_output.weight", a.o_proj.weight)
        out.add(b + "post_attention_norm.weight", layer.post_self_attn_layernorm.weight)
        out.add(b + "ffn_norm.weight", layer.post_attention_layernorm.weight)
        out.add(b + "ffn_up.weight", layer.mlp.gate_up_proj.weight)
        out.add(b + "ffn_down.weight", layer.mlp.down_proj.weight)
        out.add(b + "post_ffw_norm.weight", layer.post_mlp_layernorm.weight)
    out.finish()


def write_projector(model, config, path, quantized):
    vision, visual = config["vision_config"], model.model.visual
    out = Writer(path, "clip", quantized)
    w = out.writer
    w.add_type("mmproj")
    w.add_bool("clip.has_vision_encoder", True)
    w.add_string("clip.projector_type", "glm4v")
    w.add_bool("clip.use_silu", True)
    p = "clip.vision."
    w.add_uint32(p + "projection_dim", vision["out_hidden_size"])
    w.add_uint32(p + "image_size", vision["image_size"])
    w.add_uint32(p + "patch_size", vision["patch_size"])
    w.add_uint32(p + "embedding_length", vision["hidden_size"])
    w.add_uint32(p + "feed_forward_length", vision["intermediate_size"])
    w.add_uint32(p + "block_count", vision["depth"])
    w.add_uint32(p + "attention.head_count", vision["num_heads"])
    w.add_float32(p + "attention.layer_norm_epsilon", vision["rms_norm_eps"])
    w.add_array(p + "image_mean", [0.48145466, 0.4578275, 0.40821073])
    w.add_array(p + "image_std", [0.26862954, 0.26130258, 0.27577711])
    patch = visual.patch_embed.proj
    out.add("v.patch_embd.weight", patch.weight, reshape=lambda d: np.ascontiguousarray(d[:, :, 0]), exact=True)
    out.add("v.patch_embd.weight.1", patch.weight, reshape=lambda d: np.ascontiguousarray(d[:, :, 1]), exact=True)
    out.add("v.patch_embd.bias", patch.bias)
    out.add("v.norm_embd.weight", visual.post_conv_layernorm.weight)
    out.add("v.position_embd.weight", visual.embeddings.position_embedding.weight, exact=True)
    for i, block in enumerate(visual.blocks):
        b = f"v.blk.{i}."
        out.add(b + "ln1.weight", block.norm1.weight)
        out.add(b + "ln2.weight", block.norm2.weight)
        out.add(b + "attn_qkv.weight", block.attn.qkv.weight)
        out.add(b + "attn_out.weight", block.attn.proj.weight)
        out.add(b + "ffn_gate.weight", block.mlp.gate_proj.weight)
        out.add(b + "ffn_up.weight", block.mlp.up_proj.weight)
        out.add(b + "ffn_down.weight", block.mlp.down_proj.weight)
    out.add("v.post_ln.weight", visual.post_layernorm.weight)
    out.add("mm.patch_merger.weight", visual.downsample.weight, exact=True)
    out.add("mm.patch_merger.bias", visual.downsample.bias)
    merger = visual.merger
    out.add("mm.model.fc.weight", merger.proj.weight)
    out.add("mm.post_norm.weight", merger.post_projection_norm.weight)
    out.add("mm.post_norm.bias", merger.post_projection_norm.bias)
    out.add("mm.gate.weight", merger.gate_proj.weight)
    out.add("mm.up.weight", merger.up_proj.weight)
    out.add("mm.down.weight", merger.down_proj.weight)
    out.finish()


def write_glm4v(model, config, text_path, projector_path, quantized):
    write_text(model, config, text_path, quantized)
    write_projector(model, config, projector_path, quantized)
