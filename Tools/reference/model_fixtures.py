#!/usr/bin/env python3
"""Logits of Hugging Face transformers on random tiny models: the fixtures of MartletModelsTests.

Weights are not stored: both sides make them by the hash rule of MODEL.md 7.2 from the tensors' names, so a fixture
is a config.json, the pictures' sizes, token ids and some rows of float32 logits.

    python model_fixtures.py OUTPUT_DIRECTORY        needs torch, torchvision, transformers, gguf (PyPI)
"""
import base64
import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import Glm4Config, Glm4ForCausalLM, Glm4vConfig, Glm4vForConditionalGeneration
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.glm4v.image_processing_glm4v import Glm4vImageProcessor

from gguf_writer import write_glm4v

VOCABULARY, IMAGE, BEGIN, END = 320, 303, 299, 300
MASK = (1 << 64) - 1


def canonical(name):
    """Martlet's name of a tensor: every architecture's decoder lives under model.language_model."""
    if name.startswith("model.") and not name.startswith(("model.language_model.", "model.visual.")):
        return "model.language_model." + name[len("model."):]
    return name


def values(name, shape):
    """The hash rule of MODEL.md 7.2."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    u = (z >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5
    if name.endswith("bias"):
        u = 0.4 * u
    elif "norm" in name:
        u = 1 + 0.5 * u
    elif "embed_tokens" in name or "position_embedding" in name:
        u = 2 * u
    else:
        u = u * 3 / np.sqrt(np.prod(shape[1:]))
    return u.astype(np.float32).reshape(shape)


def fill(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(values(canonical(name), tuple(parameter.shape))))
    return model.float().eval()


def picture(height, width):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((7 * x + 13 * y + 29 * c + (x * y) % 11) % 256).astype(np.uint8)


def text_settings(rng, heads, kv, head_dim):
    return {
        "vocab_size": VOCABULARY, "hidden_size": heads * head_dim, "intermediate_size": rng.choice([96, 160, 192]),
        "num_hidden_layers": rng.choice([1, 2, 3]), "num_attention_heads": heads, "num_key_value_heads": kv,
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "attention_dropout": 0.0,
        "pad_token_id": 289, "eos_token_id": [289, 296],
    }


def glm4v_config(rng):
    """A nested config.json; sections always add up to half of the rotary dimensions."""
    heads, kv, head_dim = rng.choice([(4, 2, 32), (4, 1, 32), (2, 2, 64), (6, 2, 32)])
    frequencies = head_dim // 4
    first = rng.randint(1, frequencies - 2)
    second = rng.randint(1, frequencies - first - 1)
    text = text_settings(rng, heads, kv, head_dim) | {"model_type": "glm4v_text", "attention_bias": True}
    text["rope_parameters"] = {
        "rope_type": "default", "rope_theta": rng.choice([10000, 50000.0]), "partial_rotary_factor": 0.5,
        "mrope_section": [first, second, frequencies - first - second]}
    vision_heads, vision_dim = rng.choice([(2, 16), (3, 16), (2, 32)])
    vision = {
        "model_type": "glm4v_vision", "depth": rng.choice([1, 2]), "hidden_size": vision_heads * vision_dim,
        "num_heads": vision_heads, "attention_bias": False, "hidden_act": "silu", "in_channels": 3,
        "image_size": rng.choice([56, 84]), "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
        "out_hidden_size": heads * head_dim, "intermediate_size": rng.choice([96, 192]), "rms_norm_eps": 1e-5}
    return {
        "architectures": ["Glm4vForConditionalGeneration"], "model_type": "glm4v", "dtype": "float32",
        "tie_word_embeddings": False, "image_token_id": IMAGE, "video_token_id": 304, "image_start_token_id": BEGIN,
        "image_end_token_id": END, "video_start_token_id": 301, "video_end_token_id": 302, "text_config": text,
        "vision_config": vision}


def flattened(config):
    """The layout of the first uploads: text keys at top level."""
    text = dict(config["text_config"])
    rope = text.pop("rope_parameters")
    text.pop("model_type")
    return {k: v for k, v in config.items() if k != "text_config"} | text | {
        "rope_theta": rope["rope_theta"], "partial_rotary_factor": rope["partial_rotary_factor"],
        "rope_scaling": {"type": "default", "mrope_section": rope["mrope_section"]}}


def draw_prompt(rng, token_counts, length):
    """Text around images: ids, and where each image's placeholders start."""
    pieces, offsets = [rng.randrange(256) for _ in range(rng.randint(1, 12))], []
    for count in token_counts:
        pieces.append(BEGIN)
        offsets.append(len(pieces))
        pieces += [IMAGE] * count + [END] + [rng.randrange(256) for _ in range(rng.randint(0, 9))]
    while len(pieces) < length:
        pieces.append(rng.randrange(256))
    return pieces, offsets


def pack(rows):
    return base64.b64encode(rows.astype("<f4").tobytes()).decode()


def glm4v(rng, name, flat, sizes, length, out=None, quantized=False):
    config = glm4v_config(rng)
    model = fill(Glm4vForConditionalGeneration(Glm4vConfig(**config)))
    if out:
        write_glm4v(model, config, out / f"{name}.gguf", out / f"mmproj-{name}.gguf", quantized)
    processor = Glm4vImageProcessor(size={"shortest_edge": 12544, "longest_edge": 9633792})
    inputs = {}
    counts = []
    if sizes:
        made = processor([picture(h, w) for h, w in sizes], return_tensors="pt",
                         input_data_format="channels_last")
        inputs = {"pixel_values": made["pixel_values"], "image_grid_thw": made["image_grid_thw"]}
        counts = [int(t * h * w) // 4 for t, h, w in made["image_grid_thw"]]
    tokens, offsets = draw_prompt(rng, counts, length)
    ids = torch.tensor([tokens])
    if sizes:
        inputs["mm_token_type_ids"] = (ids == IMAGE).int()
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0].numpy()
    fixture = finish(rng, name, flattened(config) if flat else config, sizes, offsets, tokens, logits)
    if out:
        fixture["gguf"] = f"{name}.gguf"
    return fixture


def causal(rng, name, kind, length):
    heads, kv, head_dim = rng.choice([(4, 2, 32), (2, 1, 64), (3, 3, 32)])
    text = text_settings(rng, heads, kv, head_dim) | {"dtype": "float32"}
    if kind == "glm4":
        text |= {"architectures": ["Glm4ForCausalLM"], "model_type": "glm4", "head_dim": head_dim,
                 "attention_bias": True, "tie_word_embeddings": False, "partial_rotary_factor": 0.5,
                 "rope_theta": 10000.0}
        settings = {k: v for k, v in text.items() if k not in ("partial_rotary_factor", "rope_theta", "dtype")}
        model = Glm4ForCausalLM(Glm4Config(**settings, rope_parameters={
            "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}))
    else:
        text |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False,
                 "tie_word_embeddings": rng.choice([True, False]), "rope_theta": 100000.0}
        settings = {k: v for k, v in text.items() if k not in ("rope_theta", "dtype")}
        model = LlamaForCausalLM(LlamaConfig(**settings, rope_parameters={
            "rope_type": "default", "rope_theta": 100000.0}))
    model = fill(model)
    tokens = [rng.randrange(256) for _ in range(length)]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens])).logits[0].numpy()
    return finish(rng, name, text, [], [], tokens, logits)


def finish(rng, name, config, sizes, offsets, tokens, logits):
    rows = sorted({len(tokens) - 1, 0} | {rng.randrange(len(tokens)) for _ in range(6)})
    return {"name": name, "config": config, "images": sizes, "offsets": offsets, "tokens": tokens, "rows": rows,
            "logits": pack(logits[rows])}


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    fixtures = []
    sizes = [
        [], [(150, 100), (56, 112)], [(97, 211)], [(33, 70), (140, 29), (113, 57)], [(28, 28)], [(301, 77)],
        [(64, 64), (64, 64)], [(1, 60)], [], [(223, 131)], [(99, 99), (41, 200)], [(180, 90)], [(15, 250)], [(77, 140)]]
    for index, picture_sizes in enumerate(sizes):
        rng = random.Random(1000 + index)
        length = [12, 47, 300, 60][index % 4]
        gguf_directory = out if index in (1, 12, 13) else None
        fixtures.append(glm4v(
            rng, f"glm4v-{index:02}", index % 3 == 2, picture_sizes, length, gguf_directory, quantized=index > 1))
    for index in range(3):
        fixtures.append(causal(random.Random(2000 + index), f"glm4-{index}", "glm4", [9, 120, 257][index]))
    for index in range(3):
        fixtures.append(causal(random.Random(3000 + index), f"llama-{index}", "llama", [9, 120, 257][index]))
    maker = {"transformers": transformers.__version__, "torch": torch.__version__}
    (out / "logits.json").write_text(json.dumps({"maker": maker, "fixtures": fixtures}, separators=(",", ":")) + "\n")
    print(f"{len(fixtures)} fixtures")


if __name__ == "__main__":
    main()
