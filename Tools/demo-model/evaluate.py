#!/usr/bin/env python3
"""Asks transformers what `make verify-demo` asks Martlet, prints the figures, and keeps the replies beside the model.

    python3 evaluate.py MODEL --screens 500            figures, and a few of the misses
    python3 evaluate.py MODEL --keep replies.json      all cases; the replies are what Martlet's are compared with
"""

import argparse
import json
import time

import torch
from transformers import AutoTokenizer, Glm4vForConditionalGeneration, Glm4vImageProcessor

import cases
import words


class Reference:
    """The model in float32, as transformers computes it."""

    def __init__(self, folder):
        self.net = Glm4vForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = Glm4vImageProcessor.from_pretrained(folder)

    @torch.no_grad()
    def ask(self, picture, text):
        parts = ([{"type": "image"}] if picture else []) + [{"type": "text", "text": text}]
        prompt = self.tokenizer.apply_chat_template([{"role": "user", "content": parts}], tokenize=False,
                                                    add_generation_prompt=True)
        seen = {}
        if picture:
            seen = dict(self.processor(images=[picture], return_tensors="pt"))
            _, rows, columns = seen["image_grid_thw"][0].tolist()
            prompt = prompt.replace("<|image|>", "<|image|>" * (rows * columns // 4))
        ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        image = self.net.config.image_token_id
        out = self.net.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False,
                                mm_token_type_ids=(ids == image).int(), **seen)
        # The server says neither `</answer>` nor anything behind it.
        return self.tokenizer.decode(out[0, ids.shape[1]:], skip_special_tokens=True).partition("</answer>")[0]


def figures(name, asked, replies, show):
    verdicts = [cases.judge(case, replies[case.name]) for case in asked]
    for case, verdict in [pair for pair in zip(asked, verdicts) if not pair[1].right][:show]:
        wanted = case.expected or [round(value * 1000) for value in case.thing["box"]]
        print(" ", case.question, "|", replies[case.name], "|", wanted)
    shares = [sum(getattr(verdict, part) for verdict in verdicts) / len(asked) for part in ("parsed", "typed", "right")]
    print(f"{name}: {len(asked)} cases, parsed {shares[0]:.1%}, right action {shares[1]:.1%}, right {shares[2]:.1%}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--screens", type=int, default=500)
    parser.add_argument("--keep", help="write all replies into this file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", type=int, default=5, help="so many misses are printed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, begun, replies = Reference(options.model), time.time(), {}
    groups = {"held-out": cases.held_out(options.screens), "unseen": cases.unseen(max(1, options.screens // 5)),
              "others": cases.others()}
    for name, asked in groups.items():
        for case in asked:
            replies[case.name] = model.ask(case.picture(), case.question)
        figures(name, asked, replies, options.show)
    for questions, _, _ in words.IDENTITY.values():
        for question in questions:
            replies[question] = model.ask(None, question)
            print(question, "->", replies[question])
    if options.keep:
        with open(options.keep, "w", encoding="utf-8") as file:
            json.dump(replies, file, ensure_ascii=False, indent=0)
            file.write("\n")
    print(f"{time.time() - begun:.0f} s")


if __name__ == "__main__":
    main()
