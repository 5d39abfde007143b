"""What a step of the server takes beyond the model's operations, while 16 sequences of SmolLM2 decode."""

import asyncio
import pathlib
import random
import time
import urllib.request

import servers
import streams

FILES = ["smollm2-q4_0", "smollm2-q4_1"]
STREAMS, PROMPT, TOKENS, SECONDS = 16, 128, 640, 2.5
WORK = f"overhead: a step of {STREAMS} streams"
# Threads whose time is the engine's: what they do beyond the model's operations shows between these.
ENGINE = ("martlet-engine", "martlet-pool")
MEANING = (
    "Overhead is the share of the processors' time, while nothing but decoding goes on, that is not the model's "
    "operations (embedding, products, norms, attention, choice of tokens): the time between those (schedule, plan, "
    "bookkeeping, handing over) on all threads, and the time of the server's other threads (text, JSON, HTTP).")


def metrics(server):
    """Sums of /metrics by family, whatever the labels."""
    found = {}
    for line in urllib.request.urlopen(server.url + "/metrics").read().decode().splitlines():
        if not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            name = key.split("{")[0]
            found[name] = found.get(name, 0) + float(value)
    return found


def other_seconds(server):
    """Processor time of the threads that are not the engine's."""
    total, seen = 0, set()
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        seen.add(name)
        if name not in ENGINE:
            total += int((task / "schedstat").read_text().split()[0]) * 1e-9
    if missing := set(ENGINE) - seen:
        raise SystemExit(f"no thread {', '.join(sorted(missing))}")
    return total


async def window(server, seed):
    """The figures of one window of pure decoding."""
    rng = random.Random(seed)
    prompt = lambda: [rng.randint(*servers.IDS) for _ in range(PROMPT)]
    firsts = lambda: metrics(server)["vllm:time_to_first_token_seconds_count"]
    await streams.completion(server.url, prompt(), 8)
    before = firsts()
    tasks = [asyncio.create_task(streams.completion(server.url, prompt(), TOKENS)) for _ in range(STREAMS)]
    while firsts() < before + STREAMS:
        await asyncio.sleep(0.05)
    start, begun, spent = metrics(server), time.monotonic(), other_seconds(server)
    await asyncio.sleep(SECONDS)
    spent, end, ended = other_seconds(server) - spent, metrics(server), time.monotonic()
    if any(task.done() for task in tasks):
        raise SystemExit("a stream ended inside the window")
    await asyncio.gather(*tasks)
    change = lambda name: end[name] - start[name]
    wall, steps = ended - begun, change("martlet:steps_total")
    between = (wall - change("martlet:forward_seconds_total")) / wall
    return {"milliseconds": 1000 * wall / steps, "between": between, "beside": spent / wall}


def measure(bench):
    for file in FILES:
        path = bench.path(file)
        for index in range(bench.rounds("overhead")):
            if len(bench.results.samples(file, f"{WORK}, milliseconds", "martlet")) > index:
                continue
            with servers.Server("martlet", bench.options.martlet, path, bench.threads) as server:
                found = asyncio.run(window(server, index))
            bench.results.add_all(file, "martlet", {
                f"{WORK}, milliseconds": found["milliseconds"],
                f"{WORK}, between operations, share": found["between"],
                f"{WORK}, other threads, share": found["beside"] / bench.threads,
                f"{WORK}, share": found["between"] + found["beside"] / bench.threads})
