"""Martlet's server and llama-server: started, warmed, asked the same, and stopped."""

import asyncio
import json
import random
import socket
import statistics
import subprocess
import time

import httpx

import programs

# Ordinary ids of every vocabulary here; random prompts, so that no cache of prefixes helps by chance.
IDS = (1000, 40000)
# A connection for each request: a server may close a kept one just when the next request comes.
ALONE = httpx.Limits(max_connections=64, max_keepalive_connections=0)


class Server:
    """A server of one of the two programs, ready when made. `name`: martlet and a way to load, or llama.cpp and a
    setting."""

    def __init__(self, name, program, model, threads, sequences=16, length=2048, cache_bytes=None):
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if name.startswith("martlet"):
            arguments = ["serve", "--model", model, "--max-num-seqs", sequences, "--max-model-len", length, "--threads",
                         threads, "--sse-keep-alive-interval", "0", "--served-model-name", "model"]
            if name.endswith("--no-mmap"):
                arguments.append("--no-mmap")
            if cache_bytes:
                arguments += ["--kv-cache-memory-bytes", cache_bytes]
        else:
            arguments = ["-m", model, "-c", sequences * length, "-np", sequences, "-t", threads, "-tb", threads,
                         "--alias", "model", *programs.setting_arguments("llama-server", name.split(" ")[1])]
        command = [str(word) for word in [program, *arguments, "--host", "127.0.0.1", "--port", port]]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        begun = time.monotonic()
        while True:
            try:
                if httpx.get(self.url + "/health", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() - begun > 600:
                self.process.kill()
                raise SystemExit(f"{name} did not start: {' '.join(command)}")
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def memory(self):
        """Bytes of the process: its share of all its pages (PSS), and those that belong to no file."""
        sums = {}
        for line in open(f"/proc/{self.process.pid}/smaps_rollup"):
            words = line.split()
            if len(words) == 3 and words[2] == "kB":
                sums[words[0].rstrip(":")] = int(words[1]) * 1024
        return sums["Pss"], sums["Anonymous"]


async def stream(client, server, prompt, count):
    """One completion: seconds to the first token and to the last."""
    body = {"model": "model", "prompt": prompt, "max_tokens": count, "temperature": 0, "stream": True,
            "ignore_eos": True, "stream_options": {"include_usage": True}}
    begun, first, tokens = time.monotonic(), None, 0
    async with client.stream("POST", server.url + "/v1/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            if first is None and chunk.get("choices"):
                first = time.monotonic() - begun
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    assert tokens == count, f"{server.name}: {tokens} tokens of {count}"
    return first, time.monotonic() - begun


def client():
    return httpx.AsyncClient(timeout=600, trust_env=False, limits=ALONE)


async def load(server, seed):
    """The figures of one round."""
    rng = random.Random(seed)
    prompt = lambda length: [rng.randint(*IDS) for _ in range(length)]
    async with client() as session:
        await stream(session, server, prompt(64), 8)
        figures = {}
        for length in (128, 512, 1024):
            times = [(await stream(session, server, prompt(length), 1))[1] for _ in range(3)]
            figures[f"prefill {length}, tok/s"] = length / statistics.median(times)
        first, last = await stream(session, server, prompt(16), 128)
        figures["decode, tok/s"] = 127 / (last - first)
        begun = time.monotonic()
        await asyncio.gather(*(stream(session, server, prompt(128), 64) for _ in range(16)))
        figures["16 streams of 128 + 64, output tok/s"] = 16 * 64 / (time.monotonic() - begun)
        shared = prompt(480)
        await stream(session, server, shared + prompt(16), 4)
        times = sorted(first for first, _ in await asyncio.gather(
            *(stream(session, server, shared + prompt(16), 16) for _ in range(16))))
        # By nearest rank, the last of 16.
        figures["16 streams behind a shared prefix of 480, TTFT p95, seconds"] = times[-1]
    return figures


async def one_request(server, seed):
    """A prompt of 128 tokens and 16 more, so that everything that a request touches has been."""
    rng = random.Random(seed)
    async with client() as session:
        await stream(session, server, [rng.randint(*IDS) for _ in range(128)], 16)
