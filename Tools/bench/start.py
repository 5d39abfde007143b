#!/usr/bin/env python3
"""How long `martlet serve` takes to be ready, and what memory it then holds.

    start.py MARTLET_BINARY [--repeats 3] MODEL... [-- FLAG...]

For each model, in turns: seconds from the start of the process to the first 200 of /readyz, and its resident memory, what
is its own apart from what is mapped of files. FLAGs go to every start. Standard library only; Linux.
"""
import argparse
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

LIMIT_SECONDS = 600


def start(binary, model, flags):
    """(seconds, resident MiB of its own, resident MiB of files)"""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begun = time.monotonic()
    process = subprocess.Popen(
        [binary, "serve", model, *flags, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(port):
            if process.poll() is not None or time.monotonic() - begun > LIMIT_SECONDS:
                sys.exit(f"{model}: the server did not come up")
            time.sleep(0.01)
        seconds = time.monotonic() - begun
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
        held = {line.split()[0]: int(line.split()[1]) // 1024 for line in status if line.startswith("Rss")}
        return seconds, held["RssAnon:"], held["RssFile:"]
    finally:
        process.terminate()
        process.wait()


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def main():
    line = sys.argv[1:]
    flags = line[line.index("--") + 1:] if "--" in line else []
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(line[:line.index("--")] if "--" in line else line)
    found = {model: [] for model in options.models}
    for _ in range(options.repeats):
        for model in options.models:
            found[model].append(start(options.binary, model, flags))
    for model, starts in found.items():
        seconds = ", ".join(f"{each[0]:.2f}" for each in starts)
        print(f"{model}: ready after {seconds} s; resident {starts[-1][1]} MiB of its own, {starts[-1][2]} MiB of files")


if __name__ == "__main__":
    main()
