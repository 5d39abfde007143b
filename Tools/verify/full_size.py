#!/usr/bin/env python3
"""The 9B shape with made-up weights, on this machine: memory, time and that the weights are all there and matter.

    full_size.py MARTLET_BINARY

Starts the server on Tests/EndToEnd/full-size in bfloat16 and shows: resident memory of 19 GiB at least (nothing
shared, nothing zero); 16 text tokens; the same prompt with one token changed gives other log-probabilities; a 336x336
picture; all within 10 minutes of the start. Standard library only. Needs about 21.5 GiB of memory.
"""
import base64
import json
import math
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS, RESIDENT_GIB = 600, 19.0


def picture(side):
    """A PNG of colour gradients."""
    rows = b"".join(
        b"\0" + bytes(v for x in range(side) for v in (x * 255 // side, y * 255 // side, (x * y) % 256))
        for y in range(side))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Server:
    def __init__(self, binary):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.started = time.monotonic()
        self.process = subprocess.Popen([
            binary, "serve", "--model", str(ROOT / "Tests/EndToEnd/full-size"), "--load-format", "dummy",
            "--dtype", "bfloat16", "--tokenizer", str(ROOT / "Tests/EndToEnd/tiny-glm4v"), "--max-model-len", "1024",
            "--max-num-seqs", "2", "--max-num-batched-tokens", "256", "--host", "127.0.0.1", "--port", str(self.port)])

    def seconds(self):
        return time.monotonic() - self.started

    def wait(self):
        while self.seconds() < LIMIT_SECONDS:
            if self.process.poll() is not None:
                sys.exit(f"the server ended with code {self.process.returncode}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(1)
        sys.exit("the server did not become ready")

    def post(self, path, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
            return json.load(answer)

    def resident_gib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 2**20


def check(results, name, passed, figure):
    results.append(passed)
    print(f"full-size: {name}: {figure}: {'passed' if passed else 'FAILED'}", flush=True)


def main():
    server, results = Server(sys.argv[1]), []
    try:
        server.wait()
        print(f"full-size: ready after {server.seconds():.0f} s", flush=True)
        resident = server.resident_gib()
        check(results, "resident memory", resident >= RESIDENT_GIB, f"{resident:.2f} GiB, at least {RESIDENT_GIB}")
        prompt = list(range(40, 56))
        ask = {"max_tokens": 16, "temperature": 0, "logprobs": 5, "ignore_eos": True}
        first = server.post("/v1/completions", ask | {"prompt": prompt})
        numbers = first["choices"][0]["logprobs"]["token_logprobs"]
        finite = len(numbers) == 16 and all(math.isfinite(v) for v in numbers)
        check(results, "16 text tokens", finite, f"after {server.seconds():.0f} s")
        changed = server.post("/v1/completions", ask | {"prompt": prompt[:3] + [99] + prompt[4:]})
        other = changed["choices"][0]["logprobs"]["token_logprobs"]
        check(results, "one changed prompt token", numbers[0] != other[0], f"{numbers[0]:.5f} and {other[0]:.5f}")
        image = "data:image/png;base64," + base64.b64encode(picture(336)).decode()
        answer = server.post("/v1/chat/completions", {
            "max_tokens": 4, "temperature": 0, "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": "tap"}]}]})
        used = answer["usage"]["prompt_tokens"]
        check(results, "a 336x336 picture", used > 144, f"{used} prompt tokens")
        check(results, "all in time", server.seconds() <= LIMIT_SECONDS, f"{server.seconds():.0f} s of {LIMIT_SECONDS}")
    finally:
        server.process.terminate()
        server.process.wait(timeout=60)
    print(f"full-size: planned 5, run {len(results)}, passed {sum(results)}")
    sys.exit(0 if len(results) == 5 and all(results) else 1)


if __name__ == "__main__":
    main()
