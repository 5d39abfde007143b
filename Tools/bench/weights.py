#!/usr/bin/env python3
"""Makes files of weights for the bench, once, in ${XDG_CACHE_HOME:-~/.cache}/martlet, and prints their paths.

    python3 weights.py LLAMA_BIN SMOLLM2.gguf NAME...

Names: smollm2-q4_1 (the file itself), smollm2-q4_0, smollm2-q8_0, smollm2-bf16, smollm2-f32 (llama-quantize from that
file, so that all hold the same model), any of these with -long behind it (for contexts past the model's own),
nine-b-q4_0 (5.3 GB), nine-b-q8_0 (10 GB): the 9B shape with made-up weights. The vision tower of that shape (1.9 GB,
and 2.8 GB as GGUF files) is made by `vision_directory`, `vision_text` and `mmproj`.
"""

import math
import os
import pathlib
import shutil
import subprocess
import sys

import made_up
import made_up_vision

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "martlet"
# In a folder of their own: a GGUF model takes the mmproj file beside it for its eyes.
VISION = CACHE / "glm4v-tower-made-up"
SMOLLM2_PARAMETERS = 134_515_008
# Left on the disk beside a 9B file.
SPARE_BYTES = 4 << 30


def quantized(llama, original, kind):
    path = CACHE / f"SmolLM2-135M-Instruct.{kind}.gguf"
    if not path.exists():
        part = path.with_suffix(".part")
        subprocess.run([f"{llama}/llama-quantize", "--allow-requantize", original, part, kind], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        part.rename(path)
    return path


def made(path, needed, make):
    """The path, made by `make` if it is not there and the disk has room for `needed` bytes."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(CACHE).free
        if free < needed + SPARE_BYTES:
            raise SystemExit(f"{path.name} needs {needed / 1e9:.1f} GB of disk and {CACHE} has {free / 1e9:.1f} left")
        print(f"Making {path} ({needed / 1e9:.1f} GB)", file=sys.stderr)
        make(path)
    return path


def nine_b(kind):
    needed = sum(made_up.byte_count(shape, type) for _, shape, type in made_up.tensors(made_up.TYPES[kind]))
    return made(CACHE / f"glm4-9b-made-up.{kind}.gguf", needed, lambda path: made_up.write(path, kind))


def vision_directory():
    """The tower before a narrow text model, as a Hugging Face directory in bf16."""
    needed = 2 * sum(math.prod(shape) for _, shape, _ in made_up_vision.tensors())
    return made(VISION / "checkpoint", needed, made_up_vision.write_directory)


def vision_text():
    """The narrow text model as a GGUF file."""
    directory = vision_directory()
    return made(VISION / "text.gguf", 1 << 27,
                lambda path: made_up_vision.write_text(path, directory))


def mmproj(kind):
    """The tower as a GGUF file of this type."""
    directory = vision_directory()
    return made(VISION / f"mmproj-{kind}.gguf", 2 * made_up_vision.parameter_count(),
                lambda path: made_up_vision.write_mmproj(path, directory, kind))


def long(llama, original, name):
    """The same file for contexts of 64 Ki: only the number in its metadata differs."""
    source = path(llama, original, name)
    target = source.with_name(source.name.replace(".gguf", ".long.gguf"))
    if not target.exists():
        data, key = bytearray(source.read_bytes()), b"llama.context_length"
        # The key, its type (u32), its value.
        at = data.index(key) + len(key) + 4
        data[at:at + 4] = (65536).to_bytes(4, "little")
        part = target.with_suffix(".part")
        part.write_bytes(data)
        part.rename(target)
    return target


def packed(martlet, path):
    """A ready-packed directory of the file, made anew when the program is younger."""
    target = CACHE / f"{path.stem}.packed"
    if not target.exists() or target.stat().st_mtime < os.stat(martlet).st_mtime:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([martlet, "quantize", path, target, "--quantization", "none"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return target


def path(llama, original, name):
    """The file of weights of that name, made if need be."""
    if name.endswith("-long"):
        return long(llama, original, name.removesuffix("-long"))
    model, _, kind = name.rpartition("-")
    if name == "smollm2-q4_1":
        return pathlib.Path(original)
    return nine_b(kind.upper()) if model == "nine-b" else quantized(llama, original, kind.upper())


def main():
    llama, original, *names = sys.argv[1:]
    for name in names:
        print(path(llama, original, name))


if __name__ == "__main__":
    main()
