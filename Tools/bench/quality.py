"""What a file of weights loses, on the text of the tests: llama.cpp's perplexity and its divergence (KL) from the same
model in f32; and what activations lose, by the divergence of each program from f32 activations on the same weights."""

import json
import pathlib
import re
import subprocess
import tempfile

import programs
import results

TEXT = results.ROOT / "Tests/MartletModelsTests/Fixtures/smollm2/text.txt"
CONTEXT = 256
# Martlet's precisions of activations to compare with f32, by the type of the file.
ACTIVATIONS = {"smollm2-q4_1": ["int8"], "smollm2-q4_0": ["int8"], "smollm2-q8_0": ["int8"],
               "smollm2-bf16": ["bf16"]}


def figures(output):
    """From llama-perplexity's own summary."""
    patterns = {"perplexity": r"Mean PPL\(Q\)\s*:\s*([\d.]+)", "kl": r"Mean\s+KLD\s*:\s*(-?[\d.e-]+)",
                "same best token": r"Same top p\s*:\s*([\d.]+)"}
    found = {name: re.search(pattern, output) for name, pattern in patterns.items()}
    return {name: float(match.group(1)) for name, match in found.items() if match}


def martlet(bench, path, precision):
    """The same figures of Martlet, from its own f32 activations on the same weights."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        programs.run([bench.options.martlet, "bench-quality", path, TEXT, "--context", CONTEXT, "--threads",
                      bench.threads, "--activations", precision, "--against", "f32", "--json", file.name])
        found = json.load(open(file.name))
    return {"perplexity": found["perplexity"], "kl": found["divergence"], "same best token": 100 * found["agreement"]}


def measure(bench, files):
    llama, kept = bench.options.llama, bench.results.data.setdefault("quality", {})

    def ask(path, *more):
        command = [f"{llama}/llama-perplexity", "-m", path, "-f", TEXT, "-c", CONTEXT, "-t", bench.threads, *more]
        return programs.run(command, both=True)

    def divergence(path, base):
        return figures(ask(path, "--kl-divergence", "--kl-divergence-base", base))

    with tempfile.TemporaryDirectory() as folder:
        base, own, plain = (pathlib.Path(folder) / name for name in ("base", "own", "plain.gguf"))
        ask(bench.path("smollm2-f32"), "--kl-divergence-base", base)
        for file in files:
            path = bench.path(file)
            found = divergence(path, base)
            # The file's own values in f32: only the arithmetic differs.
            subprocess.run([f"{llama}/llama-quantize", "--allow-requantize", path, plain, "F32"], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ask(plain, "--kl-divergence-base", own)
            found["activations"] = {"llama.cpp": divergence(path, own)}
            for precision in ACTIVATIONS.get(file, []):
                found["activations"][f"martlet {precision}"] = martlet(bench, path, precision)
            kept[file] = found
            bench.results.write()
