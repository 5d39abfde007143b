"""GLM-4.1V's graph (MODEL.md 1 and 2) in plain PyTorch, fast to train: weights under transformers' names.

Two things make it cheaper than the general code: the two equal frames of a still share one patch kernel, and many
questions share one picture (a prefix is computed once; each question attends to it and to itself).
"""

import math

import torch
import torch.nn.functional as F

import vocabulary

HIDDEN, HEADS, KV_HEADS, HEAD, INNER, LAYERS = 192, 6, 2, 32, 512, 5
WIDE, V_HEADS, V_HEAD, DEPTH = 192, 3, 64, 4
TABLE = 24
POINTING = 2
SECTIONS = (2, 3, 3)
EPS = 1e-5
VOCABULARY = vocabulary.SIZE
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def configuration(ids):
    """config.json; `ids` maps a special token's text to its id."""
    end = [ids["<|endoftext|>"], ids["<|user|>"], ids["<|observation|>"], ids["</answer>"]]
    return {
        "architectures": ["Glm4vForConditionalGeneration"], "model_type": "glm4v", "dtype": "bfloat16",
        "tie_word_embeddings": False, "image_token_id": ids["<|image|>"], "video_token_id": ids["<|video|>"],
        "image_start_token_id": ids["<|begin_of_image|>"], "image_end_token_id": ids["<|end_of_image|>"],
        "video_start_token_id": ids["<|begin_of_video|>"], "video_end_token_id": ids["<|end_of_video|>"],
        "text_config": {
            "model_type": "glm4v_text", "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": INNER,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
            "hidden_act": "silu", "max_position_embeddings": 8192, "rms_norm_eps": EPS, "attention_bias": True,
            "attention_dropout": 0.0, "pad_token_id": end[0], "eos_token_id": end,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5,
                                "mrope_section": list(SECTIONS)},
        },
        "vision_config": {
            "model_type": "glm4v_vision", "depth": DEPTH, "hidden_size": WIDE, "num_heads": V_HEADS,
            "attention_bias": False, "hidden_act": "silu", "in_channels": 3, "image_size": TABLE * 14, "patch_size": 14,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": HIDDEN, "intermediate_size": INNER,
            "rms_norm_eps": EPS,
        },
    }


def initial(seed=1):
    """Fan-in initialisation; unit-scale embeddings; post-norm gains 0.3; smooth positions."""
    torch.manual_seed(seed)
    weights = {}

    def matrix(name, *shape):
        weights[name] = torch.randn(shape) / math.sqrt(math.prod(shape[1:]))

    text, vision = "model.language_model.", "model.visual."
    weights[text + "embed_tokens.weight"] = torch.randn(VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        at = f"{text}layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{at}{name}.weight"] = torch.ones(HIDDEN)
        for name in ("post_self_attn_layernorm", "post_mlp_layernorm"):
            weights[f"{at}{name}.weight"] = torch.full((HIDDEN,), 0.3)
        for name, rows in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            matrix(f"{at}self_attn.{name}_proj.weight", rows * HEAD, HIDDEN)
            weights[f"{at}self_attn.{name}_proj.bias"] = torch.zeros(rows * HEAD)
        matrix(at + "self_attn.o_proj.weight", HIDDEN, HEADS * HEAD)
        matrix(at + "mlp.gate_up_proj.weight", 2 * INNER, HIDDEN)
        matrix(at + "mlp.down_proj.weight", HIDDEN, INNER)
    weights[text + "norm.weight"] = torch.ones(HIDDEN)
    weights["lm_head.weight"] = torch.randn(VOCABULARY, HIDDEN) * 0.3 / math.sqrt(HIDDEN)
    matrix(vision + "patch_embed.proj.weight", WIDE, 3, 2, 14, 14)
    weights[vision + "patch_embed.proj.bias"] = torch.zeros(WIDE)
    centre = (torch.arange(TABLE) + 0.5) / TABLE
    waves = torch.cat([f(math.pi * k * centre)[:, None] for k in (0.5, 1, 2, 4, 8) for f in (torch.sin, torch.cos)], 1)
    rows, columns = waves[:, None].expand(-1, TABLE, -1), waves[None].expand(TABLE, -1, -1)
    plane = torch.cat([rows, columns], 2).reshape(TABLE * TABLE, -1)
    mix = torch.randn(plane.shape[1], WIDE) / plane.shape[1] ** 0.5
    weights[vision + "embeddings.position_embedding.weight"] = plane @ mix
    for name in ("post_conv_layernorm", "post_layernorm"):
        weights[f"{vision}{name}.weight"] = torch.ones(WIDE)
    for block in range(DEPTH):
        at = f"{vision}blocks.{block}."
        for name in ("norm1", "norm2"):
            weights[f"{at}{name}.weight"] = torch.ones(WIDE)
        matrix(at + "attn.qkv.weight", 3 * WIDE, WIDE)
        matrix(at + "attn.proj.weight", WIDE, WIDE)
        matrix(at + "mlp.gate_proj.weight", HIDDEN, WIDE)
        matrix(at + "mlp.up_proj.weight", HIDDEN, WIDE)
        matrix(at + "mlp.down_proj.weight", WIDE, HIDDEN)
        weights[at + "attn.proj.weight"] *= 0.5
        weights[at + "mlp.down_proj.weight"] *= 0.5
    matrix(vision + "downsample.weight", HIDDEN, WIDE, 2, 2)
    weights[vision + "downsample.bias"] = torch.zeros(HIDDEN)
    matrix(vision + "merger.proj.weight", HIDDEN, HIDDEN)
    weights[vision + "merger.post_projection_norm.weight"] = torch.ones(HIDDEN)
    weights[vision + "merger.post_projection_norm.bias"] = torch.zeros(HIDDEN)
    matrix(vision + "merger.gate_proj.weight", INNER, HIDDEN)
    matrix(vision + "merger.up_proj.weight", INNER, HIDDEN)
    matrix(vision + "merger.down_proj.weight", HIDDEN, INNER)
    weights[vision + "merger.down_proj.weight"] *= 2.0
    return weights


def attention(q, k, v, mask=None):
    """Scores as one product: for short rows on a CPU faster than the fused kernel. `mask` is added to the scores."""
    with torch.autocast("cpu", enabled=False):
        scores = q @ k.mT / q.shape[-1] ** 0.5
        return torch.softmax(scores if mask is None else scores + mask, -1) @ v


def rms(x, weight):
    return F.rms_norm(x, (x.shape[-1],), weight.to(x.dtype), EPS)


def patches(pixels):
    """uint8 [B, h, w, 3] to [B, N, 588] in the tower's order of patches (one frame of the two equal ones)."""
    count, high, wide, _ = pixels.shape
    values = (pixels.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    values = values.reshape(count, high // 28, 2, 14, wide // 28, 2, 14, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    return values.reshape(count, -1, 588)


def patch_places(rows, columns):
    """Row and column of each patch, [N] each, in the tower's order (blocks of 2 x 2)."""
    grid = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), -1)
    grid = grid.reshape(rows // 2, 2, columns // 2, 2, 2).permute(0, 2, 1, 3, 4).reshape(-1, 2)
    return grid[:, 0], grid[:, 1]


PLANES = {}


def vision_plane(rows, columns):
    """What depends on the grid alone: the position table's mixing matrix [N, 576], cos and sin [N, 32]."""
    if (rows, columns) not in PLANES:
        row, column = patch_places(rows, columns)
        spots = torch.stack([(column + 0.5) / columns * 2 - 1, (row + 0.5) / rows * 2 - 1], -1)
        eye = torch.eye(TABLE * TABLE).reshape(1, TABLE * TABLE, TABLE, TABLE)
        mix = F.grid_sample(eye, spots[None, :, None], "bicubic", "border", False)[0, :, :, 0].T.contiguous()
        frequency = 10000.0 ** (-torch.arange(0, V_HEAD // 2, 2) / (V_HEAD // 2))
        angle = torch.cat([row[:, None] * frequency, column[:, None] * frequency], 1)
        angle = torch.cat([angle, angle], 1)
        PLANES[rows, columns] = mix, angle.cos(), angle.sin()
    return PLANES[rows, columns]


def vision(w, x, rows, columns):
    """Patches [B, N, 588] to image tokens [B, N/4, HIDDEN]."""
    at = "model.visual."
    mix, cos, sin = vision_plane(rows, columns)
    kernel = w[at + "patch_embed.proj.weight"].sum(2).reshape(WIDE, 588)
    x = rms(F.linear(x, kernel, w[at + "patch_embed.proj.bias"]).float(), w[at + "post_conv_layernorm.weight"])
    x = x + mix @ w[at + "embeddings.position_embedding.weight"]
    batch, count, _ = x.shape

    def turn(value):
        half = value[..., V_HEAD // 2:]
        return value * cos + torch.cat([-half, value[..., :V_HEAD // 2]], -1) * sin

    for block in range(DEPTH):
        b = f"{at}blocks.{block}."
        qkv = F.linear(rms(x, w[b + "norm1.weight"]), w[b + "attn.qkv.weight"])
        q, k, v = qkv.view(batch, count, 3, V_HEADS, V_HEAD).permute(2, 0, 3, 1, 4)
        mixed = attention(turn(q).to(v.dtype), turn(k).to(v.dtype), v)
        x = x + F.linear(mixed.transpose(1, 2).reshape(batch, count, WIDE), w[b + "attn.proj.weight"])
        y = rms(x, w[b + "norm2.weight"])
        y = F.silu(F.linear(y, w[b + "mlp.gate_proj.weight"])) * F.linear(y, w[b + "mlp.up_proj.weight"])
        x = x + F.linear(y, w[b + "mlp.down_proj.weight"])
    x = rms(x, w[at + "post_layernorm.weight"]).view(batch, count // 4, 4 * WIDE)
    fold = w[at + "downsample.weight"].permute(0, 2, 3, 1).reshape(HIDDEN, 4 * WIDE)
    x = F.linear(F.linear(x, fold, w[at + "downsample.bias"]), w[at + "merger.proj.weight"])
    x = F.gelu(F.layer_norm(x, (HIDDEN,), w[at + "merger.post_projection_norm.weight"].to(x.dtype),
                            w[at + "merger.post_projection_norm.bias"].to(x.dtype), 1e-5))
    y = F.silu(F.linear(x, w[at + "merger.gate_proj.weight"])) * F.linear(x, w[at + "merger.up_proj.weight"])
    return F.linear(y, w[at + "merger.down_proj.weight"])


def text_angles(positions):
    """Positions [..., 3] (T, H, W) to cos and sin [..., 8]."""
    frequency = 10000.0 ** (-torch.arange(0, 16, 2) / 16)
    axis = torch.repeat_interleave(torch.arange(3), torch.tensor(SECTIONS))
    angle = positions[..., axis].float() * frequency
    return angle.cos(), angle.sin()


def turn_pairs(x, cos, sin):
    """x [..., heads, 32]: the first 16 values of a head turn in neighbouring pairs."""
    moving, still = x[..., :16].unflatten(-1, (8, 2)), x[..., 16:]
    a, b = moving[..., 0], moving[..., 1]
    cos, sin = cos[..., None, :], sin[..., None, :]
    turned = torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    return torch.cat([turned.to(x.dtype), still], -1)


def masks(valid, short, questions):
    """What is added to scores: [B, 1, P, P] for prefixes, [B, 1, 1, P] and [T, T] for the questions after them."""
    long = valid.shape[1]
    causal = torch.ones(long, long, dtype=torch.bool).tril()
    seen = (causal & valid[:, None, :]) | torch.eye(long, dtype=torch.bool)
    own = torch.ones(short, short, dtype=torch.bool).tril()
    return [torch.where(part, 0.0, -1e4) for part in (seen[:, None], valid[:, None, None, :], own)]


def decoder(w, prefix, prefix_positions, prefix_valid, own, own_positions, questions):
    """Hidden states of the questions; and for each of their tokens the logarithm of its attention to the prefix, [B *
    questions, 2, T, P], of the first head of each group in layer POINTING.

    prefix [B, P, H], own [B * questions, T, H]; positions [..., 3]; prefix_valid [B, P] is False on left padding.
    """
    batch, long, _ = prefix.shape
    asked, short, _ = own.shape
    edge = batch * long
    flat = torch.cat([prefix.reshape(-1, HIDDEN), own.reshape(-1, HIDDEN)])
    cos, sin = text_angles(torch.cat([prefix_positions.reshape(-1, 3), own_positions.reshape(-1, 3)]))
    seen, before, within = masks(prefix_valid, short, questions)
    group = HEADS // KV_HEADS
    looks = None

    def heads(x, rows):
        """[rows' tokens, heads, 32] to [rows, KV_HEADS, ..., 32]."""
        return x.view(rows, -1, KV_HEADS, x.shape[1] // KV_HEADS, HEAD).permute(0, 2, 3, 1, 4)

    for layer in range(LAYERS):
        at = f"model.language_model.layers.{layer}."
        h = rms(flat, w[at + "input_layernorm.weight"])
        q, k, v = (F.linear(h, w[f"{at}self_attn.{name}_proj.weight"], w[f"{at}self_attn.{name}_proj.bias"])
                   .view(-1, rows, HEAD) for name, rows in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)))
        q, k = turn_pairs(q, cos, sin), turn_pairs(k, cos, sin)
        last = layer == LAYERS - 1
        with torch.autocast("cpu", enabled=False):
            kp, vp = (heads(x[:edge], batch)[:, :, 0] for x in (k, v))
            ko, vo = (heads(x[edge:], asked)[:, :, 0] for x in (k, v))
            qo = heads(q[edge:], asked)
            parts = []
            if not last:
                first = attention(heads(q[:edge], batch), kp[:, :, None], vp[:, :, None],
                                  seen[:, :, None].to(v.dtype))
                parts.append(first.permute(0, 3, 1, 2, 4).reshape(edge, HIDDEN))
            packed = qo.reshape(batch, questions, KV_HEADS, group * short, HEAD).transpose(1, 2)
            packed = packed.reshape(batch, KV_HEADS, questions * group * short, HEAD)
            far = (packed @ kp.mT).view(batch, KV_HEADS, questions, group, short, long).transpose(1, 2)
            far = far.reshape(asked, KV_HEADS, group, short, long) / HEAD ** 0.5
            far = far + before.repeat_interleave(questions, 0)[:, :, None].to(v.dtype)
            close = (qo @ ko[:, :, None].mT) / HEAD ** 0.5 + within.to(v.dtype)
            scores = torch.cat([far, close], -1)
            if layer == POINTING:
                looks = scores[:, :, 0].float().log_softmax(-1)[..., :long]
            share = torch.softmax(scores, -1)
            far = share[..., :long].reshape(batch, questions, KV_HEADS, group * short, long).transpose(1, 2)
            far = far.reshape(batch, KV_HEADS, questions * group * short, long) @ vp
            far = far.view(batch, KV_HEADS, questions, group, short, HEAD).transpose(1, 2)
            second = far.reshape(asked, KV_HEADS, group, short, HEAD) + share[..., long:] @ vo[:, :, None]
            parts.append(second.permute(0, 3, 1, 2, 4).reshape(asked * short, HIDDEN))
        if last:
            flat = flat[edge:]
        h = F.linear(torch.cat(parts), w[at + "self_attn.o_proj.weight"])
        flat = flat + rms(h, w[at + "post_self_attn_layernorm.weight"])
        h = rms(flat, w[at + "post_attention_layernorm.weight"])
        gate, up = F.linear(h, w[at + "mlp.gate_up_proj.weight"]).chunk(2, -1)
        h = F.linear(F.silu(gate) * up, w[at + "mlp.down_proj.weight"])
        flat = flat + rms(h, w[at + "post_mlp_layernorm.weight"])
    return rms(flat.view(asked, short, HIDDEN), w["model.language_model.norm.weight"]), looks
