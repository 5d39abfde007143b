"""The vision tower and merger of the 9B shape (MODEL.md 2) with made-up weights, before a text model of one narrow
layer, so that only the tower weighs: as a Hugging Face directory in bf16, and the same values as GGUF files.

Names and shapes follow MODEL.md 2.2 and 8.3. Tokenizer, template and processor are those of the end-to-end tests' tiny
model.
"""

import json
import pathlib
import shutil
import struct

import numpy

import made_up
from made_up import ARRAY, BOOL, F32, I32, STRING, TENSOR_BF16, TENSOR_F16, TENSOR_F32, TENSOR_Q8_0, U32

TINY = pathlib.Path(__file__).resolve().parents[2] / "Tests/EndToEnd/tiny-glm4v"
DEPTH, HIDDEN, HEADS, INNER, OUTPUT, MERGED = 24, 1536, 12, 4096, 4096, 13696
PATCH, FRAMES, MERGE, SIDE = 14, 2, 2, 24
PATCH_WIDTH = 3 * FRAMES * PATCH * PATCH
TEXT_HEADS, TEXT_KV_HEADS, TEXT_INNER, VOCABULARY, POSITIONS, SECTIONS = 32, 2, 256, 320, 32768, [8, 12, 12]
HEAD = OUTPUT // TEXT_HEADS
IMAGE_MEAN, IMAGE_DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
FILE_TYPES = {"BF16": 32, "Q8_0": 7}


def vision_tensors():
    """(name behind `model.visual.`, shape, name in a GGUF file)."""
    yield "patch_embed.proj.weight", (HIDDEN, 3, FRAMES, PATCH, PATCH), "v.patch_embd.weight"
    yield "patch_embed.proj.bias", (HIDDEN,), "v.patch_embd.bias"
    yield "embeddings.position_embedding.weight", (SIDE * SIDE, HIDDEN), "v.position_embd.weight"
    yield "post_conv_layernorm.weight", (HIDDEN,), "v.norm_embd.weight"
    for block in range(DEPTH):
        ours, theirs = f"blocks.{block}.", f"v.blk.{block}."
        yield f"{ours}norm1.weight", (HIDDEN,), f"{theirs}ln1.weight"
        yield f"{ours}norm2.weight", (HIDDEN,), f"{theirs}ln2.weight"
        yield f"{ours}attn.qkv.weight", (3 * HIDDEN, HIDDEN), f"{theirs}attn_qkv.weight"
        yield f"{ours}attn.proj.weight", (HIDDEN, HIDDEN), f"{theirs}attn_out.weight"
        yield f"{ours}mlp.gate_proj.weight", (INNER, HIDDEN), f"{theirs}ffn_gate.weight"
        yield f"{ours}mlp.up_proj.weight", (INNER, HIDDEN), f"{theirs}ffn_up.weight"
        yield f"{ours}mlp.down_proj.weight", (HIDDEN, INNER), f"{theirs}ffn_down.weight"
    yield "post_layernorm.weight", (HIDDEN,), "v.post_ln.weight"
    yield "downsample.weight", (OUTPUT, HIDDEN, MERGE, MERGE), "mm.patch_merger.weight"
    yield "downsample.bias", (OUTPUT,), "mm.patch_merger.bias"
    yield "merger.proj.weight", (OUTPUT, OUTPUT), "mm.model.fc.weight"
    yield "merger.post_projection_norm.weight", (OUTPUT,), "mm.post_norm.weight"
    yield "merger.post_projection_norm.bias", (OUTPUT,), "mm.post_norm.bias"
    yield "merger.gate_proj.weight", (MERGED, OUTPUT), "mm.gate.weight"
    yield "merger.up_proj.weight", (MERGED, OUTPUT), "mm.up.weight"
    yield "merger.down_proj.weight", (OUTPUT, MERGED), "mm.down.weight"


def text_tensors():
    """(name behind `model.language_model.`, shape, name in a GGUF file)."""
    attention, layer = "layers.0.self_attn.", "blk.0."
    yield "embed_tokens.weight", (VOCABULARY, OUTPUT), "token_embd.weight"
    for ours, theirs in (("input_layernorm", "attn_norm"), ("post_self_attn_layernorm", "post_attention_norm"),
                         ("post_attention_layernorm", "ffn_norm"), ("post_mlp_layernorm", "post_ffw_norm")):
        yield f"layers.0.{ours}.weight", (OUTPUT,), f"{layer}{theirs}.weight"
    for letter, heads in (("q", TEXT_HEADS), ("k", TEXT_KV_HEADS), ("v", TEXT_KV_HEADS)):
        yield f"{attention}{letter}_proj.weight", (heads * HEAD, OUTPUT), f"{layer}attn_{letter}.weight"
        yield f"{attention}{letter}_proj.bias", (heads * HEAD,), f"{layer}attn_{letter}.bias"
    yield f"{attention}o_proj.weight", (OUTPUT, TEXT_HEADS * HEAD), f"{layer}attn_output.weight"
    yield "layers.0.mlp.gate_up_proj.weight", (2 * TEXT_INNER, OUTPUT), f"{layer}ffn_up.weight"
    yield "layers.0.mlp.down_proj.weight", (OUTPUT, TEXT_INNER), f"{layer}ffn_down.weight"
    yield "norm.weight", (OUTPUT,), "output_norm.weight"


def tensors():
    """(whole name, shape, name in a GGUF file), the tower's first."""
    for name, shape, other in vision_tensors():
        yield f"model.visual.{name}", shape, other
    for name, shape, other in text_tensors():
        yield f"model.language_model.{name}", shape, other
    yield "lm_head.weight", (VOCABULARY, OUTPUT), "output.weight"


def parameter_count():
    """Of the tower and the merger."""
    return sum(int(numpy.prod(shape)) for _, shape, _ in vision_tensors())


def values(rng, name, shape):
    """Made-up values of one tensor as bf16 [elements], such that numbers stay sensible through all blocks."""
    noise = rng.standard_normal(int(numpy.prod(shape)), numpy.float32)
    if name.endswith("bias"):
        noise *= 0.02
    elif len(shape) == 1:
        noise = 1 + 0.1 * noise
    elif "embed_tokens" in name or "position_embedding" in name:
        noise *= 0.5
    else:
        noise *= numpy.float32(numpy.prod(shape[1:]) ** -0.5)
    bits = noise.view(numpy.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def configuration():
    """config.json: the 9B model's but for the narrow text model."""
    ends = json.loads((TINY / "config.json").read_text())
    text = ends["text_config"] | {
        "vocab_size": VOCABULARY, "hidden_size": OUTPUT, "intermediate_size": TEXT_INNER, "num_hidden_layers": 1,
        "num_attention_heads": TEXT_HEADS, "num_key_value_heads": TEXT_KV_HEADS,
        "max_position_embeddings": POSITIONS,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5,
                            "mrope_section": SECTIONS}}
    vision = ends["vision_config"] | {
        "depth": DEPTH, "hidden_size": HIDDEN, "num_heads": HEADS, "image_size": SIDE * PATCH, "patch_size": PATCH,
        "out_hidden_size": OUTPUT, "intermediate_size": MERGED}
    return ends | {"dtype": "bfloat16", "text_config": text, "vision_config": vision}


def write_directory(path):
    """The Hugging Face directory: whole or, under this name, not at all."""
    part = path.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(TINY, part)
    (part / "config.json").write_text(json.dumps(configuration(), indent=1) + "\n")
    header, offset = {}, 0
    for name, shape, _ in tensors():
        end = offset + 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = numpy.random.Generator(numpy.random.SFC64(9))
    with open(part / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape, _ in tensors():
            file.write(values(rng, name, shape).tobytes())
    part.rename(path)


def stored(directory):
    """name to f32 values of the directory's tensors, in their shape."""
    data = numpy.memmap(directory / "model.safetensors", numpy.uint8, "r")
    length = int(data[:8].view("<u8")[0])
    header = json.loads(bytes(data[8:8 + length]))

    def read(name):
        start, end = (8 + length + offset for offset in header[name]["data_offsets"])
        bits = data[start:end].view("<u2").astype(numpy.uint32) << 16
        return bits.view(numpy.float32).reshape(header[name]["shape"])

    return read


def encoded(array, kind):
    """The bytes of `array` as this type of a GGUF file."""
    if kind == TENSOR_F32:
        return array.astype("<f4").tobytes()
    if kind == TENSOR_F16:
        return array.astype("<f2").tobytes()
    if kind == TENSOR_BF16:
        return (numpy.ascontiguousarray(array).view(numpy.uint32) >> 16).astype("<u2").tobytes()
    blocks = array.reshape(-1, 32)
    scales = numpy.abs(blocks).max(1) / 127
    quants = numpy.rint(blocks / numpy.where(scales > 0, scales, 1)[:, None]).astype(numpy.int8)
    return numpy.hstack([scales.astype("<f2").view(numpy.uint8).reshape(-1, 2), quants.view(numpy.uint8)]).tobytes()


def kind_of(name, shape, kind):
    """What a file of type `kind` stores a tensor as (MODEL.md 8.3)."""
    if len(shape) == 1 or "position_embedding" in name:
        return TENSOR_F32
    return TENSOR_F16 if len(shape) > 2 else kind


def vision_metadata(name):
    number, real = made_up.number, made_up.real
    yield "general.architecture", STRING, made_up.string("clip")
    yield "general.type", STRING, made_up.string("mmproj")
    yield "general.name", STRING, made_up.string(f"Vision tower of the 9B shape, made-up weights, {name}")
    yield "general.file_type", U32, number(FILE_TYPES[name])
    yield "clip.has_vision_encoder", BOOL, b"\1"
    yield "clip.projector_type", STRING, made_up.string("glm4v")
    yield "clip.use_silu", BOOL, b"\1"
    for key, value in (("projection_dim", OUTPUT), ("image_size", SIDE * PATCH), ("patch_size", PATCH),
                       ("embedding_length", HIDDEN), ("feed_forward_length", MERGED), ("block_count", DEPTH),
                       ("attention.head_count", HEADS)):
        yield f"clip.vision.{key}", U32, number(value)
    yield "clip.vision.attention.layer_norm_epsilon", F32, real(1e-5)
    for key, reals in (("image_mean", IMAGE_MEAN), ("image_std", IMAGE_DEVIATION)):
        yield f"clip.vision.{key}", ARRAY, struct.pack("<IQ3f", F32, 3, *reals)


def text_metadata():
    number, real = made_up.number, made_up.real
    tokenizer = json.loads((TINY / "tokenizer.json").read_text())
    tokens = {id: text for text, id in tokenizer["model"]["vocab"].items()}
    added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    texts = [(tokens | added).get(id, f"unused{id}") for id in range(VOCABULARY)]
    types = [3 if id in added else 1 if id in tokens else 5 for id in range(VOCABULARY)]
    end = next(id for id, text in added.items() if text == "<|endoftext|>")
    yield "general.architecture", STRING, made_up.string("glm4")
    yield "general.type", STRING, made_up.string("model")
    yield "general.name", STRING, made_up.string("One narrow layer, made-up weights")
    yield "general.file_type", U32, number(FILE_TYPES["BF16"])
    for key, value in (("block_count", 1), ("context_length", POSITIONS), ("embedding_length", OUTPUT),
                       ("feed_forward_length", TEXT_INNER), ("attention.head_count", TEXT_HEADS),
                       ("attention.head_count_kv", TEXT_KV_HEADS), ("rope.dimension_count", HEAD // 2),
                       ("vocab_size", VOCABULARY)):
        yield f"glm4.{key}", U32, number(value)
    yield "glm4.attention.layer_norm_rms_epsilon", F32, real(1e-5)
    yield "glm4.rope.freq_base", F32, real(10000)
    yield "glm4.rope.dimension_sections", ARRAY, struct.pack("<IQ4i", I32, 4, *SECTIONS, 0)
    yield "tokenizer.ggml.model", STRING, made_up.string("gpt2")
    yield "tokenizer.ggml.pre", STRING, made_up.string("glm4")
    yield "tokenizer.ggml.tokens", ARRAY, made_up.strings(texts)
    yield "tokenizer.ggml.token_type", ARRAY, struct.pack(f"<IQ{VOCABULARY}i", I32, VOCABULARY, *types)
    merges = [" ".join(merge) for merge in tokenizer["model"]["merges"]]
    yield "tokenizer.ggml.merges", ARRAY, made_up.strings(merges)
    yield "tokenizer.ggml.eos_token_id", U32, number(end)
    yield "tokenizer.ggml.add_bos_token", BOOL, b"\0"
    yield "tokenizer.chat_template", STRING, made_up.string((TINY / "chat_template.jinja").read_text())


def gguf_parts(read, prefix, names, kind):
    """(name in the GGUF file, array, type), the patch embedding's frames apart."""
    for name, shape, other in names:
        array, type = read(prefix + name), kind_of(name, shape, kind)
        if name == "patch_embed.proj.weight":
            yield other, array[:, :, 0], type
            yield f"{other}.1", array[:, :, 1], type
        else:
            yield other, array, type


def write_gguf(path, metadata, parts):
    """parts: (name, array, type), gone through twice."""
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        file.write(made_up.head(metadata, [(name, array.shape[::-1], kind) for name, array, kind in parts()]))
        for _, array, kind in parts():
            data = encoded(array, kind)
            file.write(data + made_up.padding(len(data)))
    part.rename(path)


def write_mmproj(path, directory, name):
    """The tower of the directory as a file of type BF16 or Q8_0."""
    kind = {"BF16": TENSOR_BF16, "Q8_0": TENSOR_Q8_0}[name]
    read = stored(directory)
    write_gguf(path, list(vision_metadata(name)),
               lambda: gguf_parts(read, "model.visual.", vision_tensors(), kind))


def write_text(path, directory):
    """The narrow text model."""
    read = stored(directory)
    names = [(f"model.language_model.{name}", shape, other) for name, shape, other in text_tensors()]
    names.append(("lm_head.weight", (VOCABULARY, OUTPUT), "output.weight"))
    write_gguf(path, list(text_metadata()), lambda: gguf_parts(read, "", names, TENSOR_BF16))
