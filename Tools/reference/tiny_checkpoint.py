#!/usr/bin/env python3
"""Writes the small files of a GLM-4.1V checkpoint of MODEL.md 7.2's shape: everything but the weights.

    python3 Tools/reference/tiny_checkpoint.py Tests/EndToEnd/tiny-glm4v

The server makes the weights itself (`--load-format dummy`). Needs nothing but Python.
"""

import json
import pathlib
import sys

EXPRESSION = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# 33 merges: with 256 bytes they fill ids 0...288, and the special tokens begin at 289 as the configuration says.
MERGES = """
Ġ t|h e|i n|Ġ a|e r|o n|r e|Ġt he|a t|e n|o r|i s|a n|Ġ s|Ġ o|o u|in g|Ġ w|l l|d o|t i|ti on|Ġ m|e l|T a|Ta p|i t|Ġ f|
e s|a r|a c|ac tion|ä ½
"""

# Id, text, hidden from answers by skip_special_tokens.
ADDED = [
    (289, "<|endoftext|>", True), (290, "[MASK]", True), (291, "[gMASK]", True), (292, "[sMASK]", True),
    (293, "<sop>", True), (294, "<eop>", True), (295, "<|system|>", True), (296, "<|user|>", True),
    (297, "<|assistant|>", True), (298, "<|observation|>", True), (299, "<|begin_of_image|>", True),
    (300, "<|end_of_image|>", True), (301, "<|begin_of_video|>", True), (302, "<|end_of_video|>", True),
    (303, "<|image|>", True), (304, "<|video|>", True), (305, "<think>", False), (306, "</think>", False),
    (307, "<answer>", False), (308, "</answer>", False),
]

END = [289, 296, 298, 308]

# The behaviour of MODEL.md 5.1, in words of our own.
TEMPLATE = pathlib.Path(__file__).with_name("glm4v_chat_template.jinja")


def byte_alphabet():
    """GPT-2's character for each of the 256 bytes, in the order of their ids."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    alphabet = [chr(byte) for byte in plain] + [chr(256 + index) for index in range(len(others))]
    # Newline is 10, as in the golden prompt of MODEL.md 7.2: so the chat template says exactly that prompt.
    newline = alphabet.index(chr(256 + ord("\n")))
    alphabet[10], alphabet[newline] = alphabet[newline], alphabet[10]
    return alphabet


def tokenizer():
    vocabulary = {character: index for index, character in enumerate(byte_alphabet())}
    merges = [pair.strip().split(" ") for pair in MERGES.replace("\n", "").split("|")]
    for left, right in merges:
        assert left in vocabulary and right in vocabulary, (left, right)
        vocabulary[left + right] = len(vocabulary)
    assert len(vocabulary) == ADDED[0][0], len(vocabulary)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": EXPRESSION}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": is_special}
            for index, text, is_special in ADDED
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
            "vocab": vocabulary, "merges": merges,
        },
    }


def configuration():
    return {
        "architectures": ["Glm4vForConditionalGeneration"], "model_type": "glm4v", "dtype": "float32",
        "tie_word_embeddings": False, "image_token_id": 303, "video_token_id": 304, "image_start_token_id": 299,
        "image_end_token_id": 300, "video_start_token_id": 301, "video_end_token_id": 302,
        "text_config": {
            "model_type": "glm4v_text", "vocab_size": 320, "hidden_size": 128, "intermediate_size": 192,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu",
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "attention_bias": True, "attention_dropout": 0.0,
            "pad_token_id": 289, "eos_token_id": END,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5,
                "mrope_section": [2, 3, 3],
            },
        },
        "vision_config": {
            "model_type": "glm4v_vision", "depth": 2, "hidden_size": 32, "num_heads": 2, "attention_bias": False,
            "hidden_act": "silu", "in_channels": 3, "image_size": 56, "patch_size": 14, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "out_hidden_size": 128, "intermediate_size": 192, "rms_norm_eps": 1e-5,
        },
    }


def preprocessor():
    return {
        "size": {"shortest_edge": 12544, "longest_edge": 9633792}, "do_rescale": True, "patch_size": 14,
        "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "image_processor_type": "Glm4vImageProcessor",
        "processor_class": "Glm4vProcessor",
    }


def tokenizer_settings():
    return {
        "added_tokens_decoder": {
            str(index): {"content": text, "lstrip": False, "normalized": False, "rstrip": False,
                         "single_word": False, "special": is_special}
            for index, text, is_special in ADDED
        },
        "clean_up_tokenization_spaces": False, "do_lower_case": False, "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>", "model_max_length": 4096, "padding_side": "left", "remove_space": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)

    def write(name, value):
        text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
        (directory / name).write_text(text, encoding="utf-8")

    write("config.json", configuration())
    write("generation_config.json", {"_from_model_config": True, "eos_token_id": END, "pad_token_id": 289})
    write("preprocessor_config.json", preprocessor())
    write("tokenizer.json", tokenizer())
    write("tokenizer_config.json", tokenizer_settings())
    (directory / "chat_template.jinja").write_text(TEMPLATE.read_text("utf-8"), encoding="utf-8")


if __name__ == "__main__":
    main()
