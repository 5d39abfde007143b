#!/usr/bin/env python3
"""Martlet beside llama-server on one machine: the same file of weights, the same threads, the same requests, in turns.

    python3 peers.py MARTLET LLAMA_SERVER MODEL.gguf... [--rounds 5] [--threads N]

Each round starts one server, warms it, measures, stops it, and then the other; the median of the rounds counts and its
spread is given. Prints a table of ratios and writes everything as JSON below benchmarks/results.
"""

import argparse
import asyncio
import functools
import json
import os
import pathlib
import platform
import random
import socket
import statistics
import subprocess
import sys
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Ordinary ids of every vocabulary here; random prompts, so that no cache of prefixes helps by chance.
IDS = (1000, 40000)
# A connection for each request: a server may close a kept one just when the next request comes.
ALONE = httpx.Limits(max_connections=64, max_keepalive_connections=0)


class Peer:
    """A server of one of the two programs, ready when made."""

    def __init__(self, name, program, model, threads):
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if name == "martlet":
            arguments = ["serve", "--model", model, "--max-num-seqs", "16", "--max-model-len", "2048", "--threads",
                         str(threads), "--sse-keep-alive-interval", "0", "--served-model-name", "model"]
        else:
            arguments = ["-m", model, "-c", str(16 * 2048), "-np", "16", "-t", str(threads), "-tb", str(threads),
                         "-fa", name.rpartition("-fa-")[2], "--alias", "model"]
        self.process = subprocess.Popen([program, *arguments, "--host", "127.0.0.1", "--port", str(port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        begun = time.monotonic()
        while True:
            try:
                if httpx.get(self.url + "/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() - begun > 120:
                raise SystemExit(f"{name} did not start: {' '.join(arguments)}")
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - begun

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


async def stream(client, peer, prompt, count):
    """One completion: seconds to the first token and to the last."""
    body = {"model": "model", "prompt": prompt, "max_tokens": count, "temperature": 0, "stream": True,
            "ignore_eos": True, "stream_options": {"include_usage": True}}
    begun, first, tokens = time.monotonic(), None, 0
    async with client.stream("POST", peer.url + "/v1/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            if first is None and chunk.get("choices"):
                first = time.monotonic() - begun
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    assert tokens == count, f"{peer.name}: {tokens} tokens of {count}"
    return first, time.monotonic() - begun


async def measure(peer, seed):
    """The figures of one round; times in seconds, rates in tokens a second."""
    rng = random.Random(seed)
    prompt = lambda length: [rng.randint(*IDS) for _ in range(length)]
    async with httpx.AsyncClient(timeout=600, trust_env=False, limits=ALONE) as client:
        await stream(client, peer, prompt(64), 8)
        figures = {"ready, seconds": peer.start_seconds}
        for length in (128, 512, 1024):
            times = [(await stream(client, peer, prompt(length), 1))[1] for _ in range(3)]
            figures[f"prefill {length}, tok/s"] = length / statistics.median(times)
        first, last = await stream(client, peer, prompt(16), 128)
        figures["decode, tok/s"] = 127 / (last - first)
        begun = time.monotonic()
        await asyncio.gather(*(stream(client, peer, prompt(128), 64) for _ in range(16)))
        figures["16 streams of 128 + 64, output tok/s"] = 16 * 64 / (time.monotonic() - begun)
        shared = prompt(480)
        await stream(client, peer, shared + prompt(16), 4)
        times = sorted(first for first, _ in await asyncio.gather(
            *(stream(client, peer, shared + prompt(16), 16) for _ in range(16))))
        # By nearest rank, the last of 16.
        figures["16 streams behind a shared prefix of 480, TTFT p95, seconds"] = times[-1]
    return figures


def compare(options, model, keep):
    """The rounds of one file of weights; `keep` is told of them after each, so that a stop loses one at most."""
    names = {"martlet": options.martlet, "llama-fa-on": options.llama, "llama-fa-off": options.llama}
    rounds = {name: [] for name in names}
    for index in range(options.rounds):
        for name, program in names.items():
            print(f"\r{pathlib.Path(model).name}: round {index + 1} of {options.rounds}, {name}        ", end="",
                  file=sys.stderr, flush=True)
            peer = Peer(name, program, model, options.threads)
            try:
                rounds[name].append(asyncio.run(measure(peer, index)))
            finally:
                peer.stop()
            keep(rounds)
    print(file=sys.stderr)
    print(f"\n### {pathlib.Path(model).name}\n\n| work | Martlet | llama-server | ratio |\n|---|---|---|---|")
    for key in rounds["martlet"][0]:
        is_time = key.endswith("seconds")
        medians = {name: statistics.median(row[key] for row in rows) for name, rows in rounds.items()}
        best = (min if is_time else max)(("llama-fa-on", "llama-fa-off"), key=medians.get)
        mine, theirs = medians["martlet"], medians[best]
        texts = []
        for name in ("martlet", best):
            values = [row[key] for row in rounds[name]]
            digits = 2 if max(values) < 10 else 0
            texts.append(f"{medians[name]:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})")
        print(f"| {key} | {texts[0]} | {texts[1]}, {best[6:]} | **{theirs / mine if is_time else mine / theirs:.2f}** |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("martlet")
    parser.add_argument("llama")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout
    print(f"{cpu}, {options.threads} threads, {platform.system()}; Martlet {commit.strip()}; medians of {options.rounds} "
          "rounds in turns (least to greatest); llama-server at the better of its two settings of flash attention")
    path = ROOT / f"benchmarks/results/peers-{commit.strip()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {}

    def keep(name, rounds):
        results[name] = rounds
        path.write_text(json.dumps({"cpu": cpu, "threads": options.threads, "results": results}, indent=1) + "\n")

    for model in options.models:
        compare(options, model, functools.partial(keep, pathlib.Path(model).name))
    print(f"\nwritten: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
