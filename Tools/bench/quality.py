"""What a file of weights loses: llama.cpp's perplexity, and its divergence (KL) from the same model in f32, on the text
of the tests."""

import pathlib
import re
import tempfile

import programs
import results

TEXT = results.ROOT / "Tests/MartletModelsTests/Fixtures/smollm2/text.txt"
CONTEXT = 256


def figures(output):
    """From llama-perplexity's own summary."""
    patterns = {"perplexity": r"Mean PPL\(Q\)\s*:\s*([\d.]+)", "kl": r"Mean\s+KLD\s*:\s*(-?[\d.e-]+)",
                "same best token": r"Same top p\s*:\s*([\d.]+)"}
    found = {name: re.search(pattern, output) for name, pattern in patterns.items()}
    return {name: float(match.group(1)) for name, match in found.items() if match}


def measure(bench, files):
    """Martlet's side is printed by its own tests: the perplexity of the same windows with 8-bit and f32 activations."""
    llama, kept = bench.options.llama, bench.results.data.setdefault("quality", {})
    ask = lambda path, *more: programs.run(
        [f"{llama}/llama-perplexity", "-m", path, "-f", TEXT, "-c", CONTEXT, "-t", bench.threads, *more], both=True)
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "logits"
        ask(bench.path("smollm2-f32"), "--kl-divergence-base", base)
        for file in files:
            kept[file] = figures(ask(bench.path(file), "--kl-divergence", "--kl-divergence-base", base))
            bench.results.write()
