#!/usr/bin/env python3
"""An agent's steps with and without the prefill of its next turn: the same screens to two servers in turns.

    python3 agent.py MARTLET [--rounds 5] [--pause 1.0]

A phone agent as Open-AutoGLM runs it, on the demo model: a long system prompt, a new screenshot a step, and a pause
after each answer while the phone acts. Times to the first token are the client's, means over the tasks, medians of the
rounds; the first step has no step before it. Tokens computed are the server's own count. Fails if a reply differs.
"""

import argparse
import os
import pathlib
import platform
import random
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/EndToEnd"), str(ROOT / "Tools/demo-model")]

import cases
import prompts
import results
from agent import Agent
from server import MODEL, Server

STEPS = 5


def tasks(count):
    """Tasks of five steps, the last of which says that it is done."""
    return [(task, screens) for task, screens in cases.tasks(4 * count) if len(screens) == STEPS]


def run(arguments, options):
    """What one server says, and for each step (prompt tokens, of them computed, seconds to the first token)."""
    server = Server(["--model", str(cases.MODEL), "--served-model-name", MODEL, "--max-model-len", "8192", *arguments])
    count = lambda name: server.metric(f"vllm:{name}_total")
    try:
        said, figures = [], []
        for index, (task, screens) in enumerate(tasks(options.tasks)):
            agent = Agent(server, prompts.long_prompt(random.Random(index), ["zh", "en"][index % 2], 3400))
            for step, case in enumerate(screens):
                before = count("prompt_tokens"), count("prefix_cache_hits")
                screen = '{"current_app": "System Home"}'
                said.append(agent.step(f"{task}\n\n{screen}" if step == 0 else f"** Screen Info **\n\n{screen}",
                                       case.picture()))
                prompt, found = count("prompt_tokens") - before[0], count("prefix_cache_hits") - before[1]
                figures.append((step, prompt, prompt - found, agent.times[0]))
                time.sleep(options.pause)
        return said, figures
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("martlet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=3)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between an answer and the next request")
    options = parser.parse_args()
    os.environ["MARTLET_BINARY"] = options.martlet
    machine = results.machine()
    print(f"{machine['cpu']}, {len(os.sched_getaffinity(0))} threads, {platform.system()}; Martlet {results.commit()}; "
          f"medians of {options.rounds} rounds in turns (least to greatest), {options.tasks} tasks of {STEPS} steps, "
          f"{options.pause} s between them\n")
    found, replies = {"--no-prefill-next-turn": [], "--prefill-next-turn": []}, []
    for _ in range(options.rounds):
        for flag, rounds in found.items():
            said, figures = run([flag], options)
            replies.append(said)
            rounds.append(figures)
    assert all(said == replies[0] for said in replies), "the replies differ"

    def of(flag, step, column):
        """Of each round, the mean of that step over the tasks."""
        return [statistics.mean(row[column] for row in rounds if row[0] == step) for rounds in found[flag]]

    print("| step | prompt tokens | computed without | with | TTFT without, ms | with, ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    for step in range(STEPS):
        texts, medians = [], []
        for flag in found:
            times = sorted(1000 * seconds for seconds in of(flag, step, 3))
            medians.append(statistics.median(times))
            texts.append(f"{medians[-1]:.1f} ({times[0]:.1f} to {times[-1]:.1f})")
        prompt, without, ahead = (statistics.median(of(flag, step, column)) for flag, column in
                                  [("--prefill-next-turn", 1), ("--no-prefill-next-turn", 2),
                                   ("--prefill-next-turn", 2)])
        print(f"| {step + 1} | {prompt:.0f} | {without:.0f} | {ahead:.0f} | {texts[0]} | {texts[1]} | "
              f"**{medians[0] / medians[1]:.2f}** |", flush=True)


if __name__ == "__main__":
    main()
