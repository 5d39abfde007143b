#!/usr/bin/env python3
"""Writes a checkpoint of train.py as a model folder: bfloat16 safetensors and the small files beside it.

    python3 export.py WORK ../../Models/autoglm-phone-tiny [EARLIER_WORK SHARE]

With an earlier checkpoint of the same run: SHARE of its weights and the rest of the later one's.
"""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

import draw
import model
import vocabulary

# The behaviour of GLM-4.1V's chat template (MODEL.md 5.1).
TEMPLATE = pathlib.Path(__file__).resolve().parents[1] / "reference/glm4v_chat_template.jinja"


def export(work, folder, earlier=None, share=0):
    """Writes the weights and the tokenizer of a run (transformers' names) and everything a server needs beside them."""
    saved = torch.load(pathlib.Path(work) / "checkpoint.pt")
    weights, folder = saved["weights"], pathlib.Path(folder)
    if earlier:
        before = torch.load(pathlib.Path(earlier) / "checkpoint.pt")["weights"]
        weights = {name: torch.lerp(value, before[name], float(share)) for name, value in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(pathlib.Path(work) / "tokenizer" / name, folder / name)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {text: tokenizer.token_to_id(text) for text in vocabulary.SPECIAL}
    settings = model.configuration(ids)

    def put(name, value):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")

    put("config.json", settings)
    put("generation_config.json", {"_from_model_config": True, "do_sample": False, "pad_token_id": ids["<|endoftext|>"],
                                   "eos_token_id": settings["text_config"]["eos_token_id"]})
    put("preprocessor_config.json", {
        "size": {"shortest_edge": 12544, "longest_edge": 2 * draw.PIXELS}, "do_rescale": True, "patch_size": 14,
        "temporal_patch_size": 2, "merge_size": 2, "image_mean": list(model.MEAN), "image_std": list(model.STD),
        "image_processor_type": "Glm4vImageProcessor", "processor_class": "Glm4vProcessor"})
    shutil.copyfile(TEMPLATE, folder / "chat_template.jinja")
    halves = {name: value.detach().to(torch.bfloat16).contiguous() for name, value in sorted(weights.items())
              if not name.startswith("head.")}  # the tower's own head is for training alone
    save_file(halves, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    print("step", saved["step"], "bytes", (folder / "model.safetensors").stat().st_size)


if __name__ == "__main__":
    export(*sys.argv[1:])
