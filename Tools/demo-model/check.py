#!/usr/bin/env python3
"""Holds model.py (what trains) to transformers' graph on random weights: one picture, two questions."""

import numpy
import torch
from transformers import Glm4vConfig, Glm4vForConditionalGeneration

import draw
import lessons
import model
import vocabulary


def reference(weights, ids):
    settings = {key: value for key, value in model.configuration(ids).items() if key not in ("dtype", "architectures")}
    net = Glm4vForConditionalGeneration(Glm4vConfig(**settings)).float().eval()
    missing, unexpected = net.load_state_dict(weights, strict=False)
    assert not unexpected and not [name for name in missing if "inv_freq" not in name], (missing, unexpected)
    return net


def main():
    tokenizer = vocabulary.make()
    writer = lessons.Writer(tokenizer)
    weights = model.initial(3)
    net = reference(weights, {text: tokenizer.token_to_id(text) for text in vocabulary.SPECIAL})
    pixels, things = draw.small_screen(5)
    pixels = torch.from_numpy(numpy.array(pixels))[None]
    rows, columns = pixels.shape[1] // 14, pixels.shape[2] // 14
    asked = [writer.question("点击红色的圆形", "<think>点击")[0], writer.question("tap it", "<think>Tap the red")[0]]
    with torch.no_grad():
        folded = model.patches(pixels)
        tokens = model.vision(weights, folded, rows, columns)
        ids, positions, valid, after = writer.prefixes([lessons.START + lessons.PICTURE], rows // 2, columns // 2)
        table = weights["model.language_model.embed_tokens.weight"]
        prefix = table[ids].masked_scatter((ids == writer.image)[..., None], tokens)
        prefix = torch.cat([torch.zeros(1, 3, model.HIDDEN), prefix], 1)  # padding on the left must not matter
        positions = torch.cat([torch.zeros(1, 3, 3, dtype=torch.long), positions], 1)
        valid = torch.cat([torch.zeros(1, 3, dtype=torch.bool), valid], 1)
        short = max(map(len, asked))
        own = torch.tensor([line + [0] * (short - len(line)) for line in asked])
        spots = (after.repeat_interleave(2)[:, None] + torch.arange(short))[..., None].expand(-1, -1, 3)
        hidden, _ = model.decoder(weights, prefix, positions, valid, table[own], spots, 2)
        mine = hidden @ weights["lm_head.weight"].T
        both = folded.view(1, -1, 3, 1, 14, 14).expand(-1, -1, -1, 2, -1, -1).reshape(-1, 1176)
        for index, line in enumerate(asked):
            whole = torch.cat([ids, torch.tensor([line])], 1)
            theirs = net(input_ids=whole, pixel_values=both, image_grid_thw=torch.tensor([[1, rows, columns]]),
                         mm_token_type_ids=(whole == writer.image).int(),
                         attention_mask=torch.ones_like(whole)).logits[0, -len(line):]
            difference = (theirs - mine[index, :len(line)]).abs().max().item()
            print("greatest difference of a logit", difference, "among values up to", theirs.abs().max().item())
            assert difference < 1e-4


if __name__ == "__main__":
    main()
