#!/usr/bin/env python3
"""Makes the byte-level BPE tokenizer of the demo model, with GLM's expression and GLM's special tokens.

    python3 vocabulary.py FOLDER

The merges are learned from single words, not from running text, so that `红色的圆形` is always 红色 + 的 + 圆形; digits are
never merged: a coordinate is one token a digit.
"""

import json
import pathlib
import re
import sys

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import prompts
import words

SIZE = 2048
EXPRESSION = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>",
    "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|image|>",
    "<|video|>", "<think>", "</think>", "<answer>", "</answer>",
]
PATTERN = re.compile(r"[A-Za-z]+|[^\x00-\x7f]+|[^\sA-Za-z0-9]+")


def corpus():
    """Single words, the frequent ones often."""
    strong = []
    for english, chinese in [*((name, value[0]) for name, value in words.COLOURS.items()), *words.KINDS.items()]:
        strong += [chinese.rstrip("ABEHKMRSTX"), *[" " + part for part in english.split()], *english.split()]
    for templates in words.TAP.values():
        for template in templates:
            for part in PATTERN.findall(template.replace("{}", "")):
                strong += [part, " " + part] if part.isascii() else [part]
    strong += ["的图标", "的那个", "按钮", " one", " icon", " button", "的", "红", "(action", "=\"",
               "\",", " element", "=[", "])", "do", "Tap", "\")", "\"\n\n", "**", " **", " Screen", " Info", "{\"",
               "current", "_app", "\":", "\"}", " start", " end", "],", " duration", "finish", "(message",
               "。", "，", ": "]
    strong += [part for app in words.APPS for part in (app[0], app[1], " " + app[1])]
    strong += [part for text in words.TEXTS for part in ((text, " " + text) if text.isascii() else (text,))]
    strong += ["Launch", "Type", "Swipe", "Back", "Home", "Wait", "(app", "(text", " text"]
    weak = []
    for table in (*words.FIXED.values(), words.IDENTITY.values(), words.GREETING.values()):
        for questions, thought, action in table:
            for text in (*questions, thought, action):
                for match in re.finditer(r" ?[A-Za-z]+|[^\x00-\x7f]+", text):
                    part = match.group()
                    weak += [part] if part.strip().isascii() else re.findall(r"[，。？！]|..?", part)
    strong += ["第", "步", "步：", "Step", ",", "，先", "，再", "，然后", "，最后", *words.ORDER["zh"]]
    strong += [part.strip() for part in words.ORDER["en"]] + [" " + part.strip() for part in words.ORDER["en"]]
    for questions, _ in words.DONE.values():
        weak += re.findall(r" ?[A-Za-z]+|[^\x00-\x7f]{1,2}", questions)
    for text in (*prompts.SHORT, *prompts.RULES["zh"], *prompts.RULES["en"]):
        weak += re.findall(r" ?[A-Za-z]+|[^\x00-\x7f]", text)
    return strong * 20 + weak * 6 + list(words.COMMON) * 3


def make():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    size = SIZE - len(SPECIAL) - 28
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=sorted(alphabet), show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(EXPRESSION), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    from tokenizers import AddedToken
    for text in SPECIAL:
        token = AddedToken(text, single_word=False, lstrip=False, rstrip=False, normalized=False)
        if "think" in text or "answer" in text:
            tokenizer.add_tokens([token])
        else:
            tokenizer.add_special_tokens([token])
    return tokenizer


def write(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(text)): {
                "content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                "special": not ("think" in text or "answer" in text)}
            for text in SPECIAL},
        "clean_up_tokenization_spaces": False, "do_lower_case": False, "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>", "model_max_length": 8192, "padding_side": "left", "remove_space": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return tokenizer


if __name__ == "__main__":
    made = write(sys.argv[1])
    print(made.get_vocab_size())
    for text in ("点击红色的圆形按钮", "tap the red circle", "Tap the letter A", "点一下紫色字母K",
                 '<think>点击红色圆形。</think><answer>do(action="Tap", element=[512,88])</answer>'):
        print([made.decode([i], skip_special_tokens=False) for i in made.encode(text, add_special_tokens=False).ids])
