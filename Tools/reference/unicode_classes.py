#!/usr/bin/env python3
"""Writes Sources/MartletText/Tokenizer/UnicodeClassRanges.swift: which scalars are letters, numbers and white space.

The truth is the `tokenizers` package itself, asked for every scalar: its regex engine for \\p{L}, \\p{N} and \\s, and its
Digits pre-tokenizer for the few numbers that only that one knows (the two carry tables of different Unicode versions).
    python3 Tools/reference/unicode_classes.py        # needs: pip install tokenizers
"""
import pathlib

import tokenizers
from tokenizers import Regex, pre_tokenizers

OUT = pathlib.Path(__file__).resolve().parents[2] / "Sources/MartletText/Tokenizer/UnicodeClassRanges.swift"
SCALARS = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]


def matching(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    pieces = split.pre_tokenize_str("".join(map(chr, SCALARS)))
    return {ord(character) for piece, _ in pieces for character in piece}


def digits():
    separator = "\u4e00"
    text = "".join(separator + chr(code) for code in SCALARS)
    pieces = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str(text)
    return {ord(piece) for piece, _ in pieces if len(piece) == 1 and piece != separator}


def ranges(codes):
    out = []
    for code in sorted(codes):
        if out and out[-1][1] == code - 1:
            out[-1][1] = code
        else:
            out.append([code, code])
    return out


def array(name, comment, codes):
    words = [f"0x{word:X}" for pair in ranges(codes) for word in pair]
    lines, line = [], "       "
    for word in words:
        if len(line) + len(word) + 2 > 118:
            lines.append(line)
            line = "       "
        line += f" {word},"
    lines.append(line)
    body = "\n".join(lines)
    return f"    /// {comment}\n    static let {name}: [UInt32] = [\n{body}\n    ]\n"


def main():
    letters, numbers, spaces = matching(r"\p{L}"), matching(r"\p{N}"), matching(r"\s")
    late = digits() - numbers
    assert not letters & numbers and not letters & spaces and not numbers & spaces and numbers <= digits()
    text = (
        f"// Made by Tools/reference/unicode_classes.py from tokenizers {tokenizers.__version__}; do not edit.\n\n"
        "/// Classes of scalars as Hugging Face's pre-tokenizers see them. Each list holds pairs: first, last.\n"
        "enum UnicodeClassRanges {\n"
        + array("letters", "Property L.", letters) + "\n"
        + array("numbers", "Property N.", numbers) + "\n"
        + array("digitsOnly", "Numbers to the `Digits` pre-tokenizer but not yet to the expressions.", late) + "\n"
        + array("spaces", "White space.", spaces) + "}\n"
    )
    OUT.write_text(text)
    print(f"{OUT.name}: {len(letters)} letters, {len(numbers)} numbers, {len(late)} digits only, {len(spaces)} spaces")


main()
