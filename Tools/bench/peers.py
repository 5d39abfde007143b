#!/usr/bin/env python3
"""Martlet beside llama.cpp and vLLM-CPU on one machine, and its vision tower beside transformers: the same files of
weights, threads and requests, in turns; by parts.

    python3 peers.py MARTLET LLAMA_BIN SMOLLM2.gguf [--parts "limits smollm2 nine-b server start vision"] [--rounds N]
    python3 peers.py --table RESULTS.json

A part stops and goes on where it was: samples are kept after each measurement in
benchmarks/results/peers-COMMIT.json, and only those that are missing are taken. In the first round llama.cpp runs with
each of its settings, later with the one that was best. The table is a function of that file.
"""

import argparse
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import growth
import made_up
import overhead
import plots
import programs
import quality
import results
import servers
import table
import vision
import vllm_cpu
import weights

SMOLLM2 = ["smollm2-q4_1", "smollm2-q4_0", "smollm2-q8_0", "smollm2-bf16"]
PARTS = [
    "limits", "smollm2", "nine-b-q4_0", "nine-b-q8_0", "server", "overhead", "start", "quality", "vision", "growth"]
ALIASES = {"all": PARTS, "nine-b": ["nine-b-q4_0", "nine-b-q8_0"]}
# Rounds unless told: enough for a median, and each part below half an hour on two cores.
ROUNDS = {"limits": 1, "growth": 1}
# Bytes of the KV cache a token, f16.
KV_BYTES = {"smollm2": 30 * 2 * 3 * 64 * 2, "nine-b": 40 * 2 * 2 * 128 * 2}
START_LENGTH = 2048


class Bench:
    """The programs, the options and the file of results that all parts share."""

    def __init__(self, options):
        self.options = options
        self.threads = options.threads
        self.results = results.Results(options.results, options.threads)

    def path(self, name):
        """The file of weights of that name, which the results then describe."""
        path = weights.path(self.options.llama, self.options.smollm2, name)
        known = self.results.data["files"].setdefault(name, {})
        known["name"], known["bytes"] = path.name, path.stat().st_size
        model = "nine-b" if name.startswith("nine-b") else "smollm2"
        known["parameters"] = made_up.parameter_count() if model == "nine-b" else weights.SMOLLM2_PARAMETERS
        known["kv_bytes"] = KV_BYTES[model]
        return path

    def rounds(self, part):
        return self.options.rounds or ROUNDS.get(part, 5)

    def sample(self, index, file, work, program, measure):
        """Takes the sample of round `index`, if it is not there yet: a number, or several by work."""
        if len(self.results.samples(file, work, program)) <= index:
            print(f"{file}, {work}, {program}, round {index + 1}", file=sys.stderr, flush=True)
            measured = measure()
            self.results.add_all(file, program, measured if isinstance(measured, dict) else {work: measured})

    def settings(self, index, file, work):
        """llama.cpp's settings to measure in round `index`: all, then the best."""
        best = self.results.best(file, work, "llama.cpp") if index > 0 else None
        return [best.split(" ")[1]] if best else self.options.settings.split()

    def engines(self, part, file, works):
        """Both programs without a server, in turns. works: name to the functions (martlet of path and name, which
        gives samples by work; llama of path and setting)."""
        path = self.path(file)
        for index in range(self.rounds(part)):
            for work, (martlet, llama) in works.items():
                self.sample(index, file, work, "martlet", lambda: martlet(path, work))
                for setting in self.settings(index, file, work):
                    self.sample(index, file, work, f"llama.cpp {setting}", lambda: llama(path, setting))

    def martlet(self, path, work, context, tokens, which, sequences=1, repeats=1, extra=()):
        """The sample of `work`; beside a decode of one sequence the speed at which its weights were read."""
        prefill, decode, read = programs.martlet(
            self.options.martlet, path, self.threads, context, tokens, sequences, repeats, extra)
        if which == "prefill":
            return {work: prefill}
        return {work: decode} | ({table.reading(work): read} if sequences == 1 else {})


def limits(bench):
    """What the machine can do: read bandwidth, and products alone. Measured again, the better of each figure counts: a
    bad moment of the machine would make its limits easy to meet."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        programs.run([bench.options.martlet, "bench-kernels", "--threads", bench.threads, "--weights",
                      "q4_0,q4_1,q8_0,bf16", "--json", file.name])
        bench.results.data["limits"] = better(bench.results.data["limits"], json.load(open(file.name)))
    bench.results.write()


def better(before, now):
    """Two measurings of the same limits: the greater of each figure."""
    if not before:
        return now
    reads = before["read_bytes_per_second"]
    products = zip(before["products"], now["products"], strict=True)
    return now | {
        "products": [max(pair, key=lambda product: product["operations_per_second"]) for pair in products],
        "read_bytes_per_second": {key: max(value, reads[key]) for key, value in now["read_bytes_per_second"].items()}}


def smollm2(bench):
    folder = bench.options.llama
    for file in SMOLLM2:
        # llama.cpp rounds activations to bf16 there, too.
        extra = ["--activations", "bf16"] if file == "smollm2-bf16" else []
        bench.engines("smollm2", file, {
            "prefill 512, tok/s": (
                lambda path, work: bench.martlet(path, work, 512, 2, "prefill", repeats=3, extra=extra),
                lambda path, setting: programs.llama_bench(
                    folder, path, bench.threads, setting, prompt=512, repeats=3)),
            "decode 128 behind 16, tok/s": (
                lambda path, work: bench.martlet(path, work, 16, 129, "decode", repeats=3, extra=extra),
                lambda path, setting: programs.llama_bench(
                    folder, path, bench.threads, setting, tokens=128, depth=16, repeats=3)),
        })


def nine_b(bench, part):
    folder = bench.options.llama

    def batched(sequences, tokens):
        return (
            lambda path, work: bench.martlet(path, work, 32, tokens + 1, "decode", sequences),
            lambda path, setting: programs.llama_batched(
                folder, path, bench.threads, setting, 32, tokens, [sequences])[sequences])

    bench.engines(part, part, {
        "decode 16 behind 32, tok/s": batched(1, 16),
        "decode, 16 sequences, 8 behind 32, tok/s": batched(16, 8),
        "prefill 512, tok/s": (
            lambda path, work: bench.martlet(path, work, 512, 2, "prefill"),
            lambda path, setting: programs.llama_bench(folder, path, bench.threads, setting, prompt=512)),
    })


def serve(bench, part, files, figures, settings, arguments, ours=lambda path: {"martlet": path}, others={}):
    """Rounds of the servers in turns. figures(server, round): a round's samples; arguments(file, model): of the
    servers; ours(path): names of Martlet's ways to serve a file, and what each serves; others: names of other servers'
    ways, and (program, model) of each."""
    for file in files:
        path = bench.path(file)
        ways = {name: (bench.options.martlet, model) for name, model in ours(path).items()}
        ways |= {f"llama.cpp {setting}": (f"{bench.options.llama}/llama-server", path) for setting in settings}
        ways |= others
        for index in range(bench.rounds(part)):
            for name, (program, model) in ways.items():
                if len(bench.results.samples(file, f"{part}: ready, seconds", name)) > index:
                    continue
                print(f"{file}, {part}, {name}, round {index + 1}", file=sys.stderr, flush=True)
                with servers.Server(name, program, model, bench.threads, **arguments(file, model)) as server:
                    measured = {"ready, seconds": server.start_seconds, **figures(server, index)}
                bench.results.add_all(file, name, {f"{part}: {work}": value for work, value in measured.items()})


def server(bench):
    """vLLM takes minutes a round: it stands beside one file, with the same model in the precisions that it has."""
    figures = lambda server, index: asyncio.run(servers.load(server, index))
    arguments = lambda file, model: {}
    serve(bench, "server", ["smollm2-q4_1"], figures, ["fa-on", "fa-off"], arguments)
    python = vllm_cpu.python()
    checkpoint = vllm_cpu.checkpoint(python, bench.path("smollm2-q4_1"))
    serve(bench, "server", ["smollm2-q4_0"], figures, ["fa-on", "fa-off"], arguments,
          others={name: (python, checkpoint) for name in vllm_cpu.NAMES})


def start(bench):
    """Start-up with the weights in the page cache, and memory after a request with room for one sequence. Martlet
    serves what `martlet quantize` made of the file, mapped and copied, and the file itself."""

    def ours(path):
        packed = weights.packed(bench.options.martlet, path)
        return {"martlet": packed, "martlet --no-mmap": packed, "martlet from GGUF": path}

    def arguments(file, model):
        paths = sorted(model.iterdir()) if model.is_dir() else [model]
        subprocess.run(["cat", *paths], stdout=subprocess.DEVNULL, check=True)
        cache = START_LENGTH * bench.results.data["files"][file]["kv_bytes"]
        return {"sequences": 1, "length": START_LENGTH, "cache_bytes": cache}

    def figures(server, index):
        asyncio.run(servers.one_request(server, index))
        own, anonymous = server.memory()
        return {"memory, bytes": own, "memory of no file, bytes": anonymous}

    serve(bench, "start", ["smollm2-q4_1", "nine-b-q4_0"], figures, ["fa-on"], arguments,
          ours=ours)


MEASURES = {"limits": limits, "smollm2": smollm2, "server": server, "start": start, "growth": growth.measure,
            "overhead": overhead.measure, "vision": vision.measure,
            "quality": lambda bench: quality.measure(bench, SMOLLM2)}


def run(options, parts):
    bench = Bench(options)
    for part in parts:
        begun = time.monotonic()
        MEASURES.get(part, lambda bench: nine_b(bench, part))(bench)
        print(f"{part}: {(time.monotonic() - begun) / 60:.1f} minutes", file=sys.stderr, flush=True)
    bench.results.write()
    print(table.text(bench.results))
    files = [str(bench.results.path), *plots.draw(bench.results)]
    print(f"\nwritten: {', '.join(files)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("martlet", nargs="?")
    parser.add_argument("llama", nargs="?")
    parser.add_argument("smollm2", nargs="?")
    parser.add_argument("--parts", default="all", help=f"of {', '.join([*PARTS, *ALIASES])}")
    parser.add_argument("--rounds", type=int, help="of every part; 5 unless told")
    parser.add_argument("--settings", default=" ".join(programs.SETTINGS), help="of llama.cpp's benches")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--results", type=pathlib.Path, help="a file to go on with instead of this commit's")
    parser.add_argument("--table", type=pathlib.Path, help="print the table of these results and do nothing else")
    options = parser.parse_args()
    if options.table:
        print(table.text(results.Results(options.table)))
        return
    if options.smollm2 is None:
        parser.error("MARTLET, LLAMA_BIN and SMOLLM2.gguf are needed")
    parts = [part for word in options.parts.split() for part in ALIASES.get(word, [word])]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}")
    run(options, parts)


if __name__ == "__main__":
    main()
