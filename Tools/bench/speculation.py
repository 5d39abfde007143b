#!/usr/bin/env python3
"""Decoding with and without n-gram speculation: the same requests to two servers in turns, the same replies demanded.

    python3 speculation.py MARTLET SMOLLM2.gguf [--rounds 3] [--config JSON]

Rates are output tokens after the first over the server's decode time, medians of the rounds; accepted tokens are the
server's own count. Fails if a reply differs.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/EndToEnd"), str(ROOT / "Tools/demo-model")]

import cases
import prompts
from agent import Agent
from server import MODEL, Server

TEXT = (ROOT / "Tests/MartletModelsTests/Fixtures/smollm2/text.txt").read_text("utf-8")
CONFIG = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 2, "prompt_lookup_max": 4}


def chat(server, messages, **more):
    body = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 160, **more}
    answer = server.http.post("/v1/chat/completions", json=body, timeout=600)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def user(text):
    return [{"role": "user", "content": text}]


def agent_with_screens(server):
    """Whole tasks as Open-AutoGLM runs them, on the demo model: a long system prompt, a screenshot a step, a penalty."""
    said = []
    for index, (task, screens) in enumerate(cases.tasks(12)):
        agent = Agent(server, prompts.long_prompt(random.Random(index), ["zh", "en"][index % 2], 3400))
        for step, case in enumerate(screens):
            screen = '{"current_app": "System Home"}'
            said.append(agent.step(f"{task}\n\n{screen}" if step == 0 else f"** Screen Info **\n\n{screen}",
                                   case.picture()))
    return said


def agent_in_words(server):
    """The text of an agent's task: each step's history holds the thoughts and actions of the steps before."""
    said = []
    for seed in range(3):
        rng = random.Random(seed)
        messages = [{"role": "system", "content": prompts.long_prompt(rng, "en", 2000)}]
        for step in range(6):
            app, button = rng.choice(["Mail", "Maps", "Notes"]), rng.choice(["Search", "Back", "Save"])
            messages.append({"role": "user", "content": f'** Screen Info **\n\n{{"current_app": "{app}"}}'})
            if step > 2:
                said.append(chat(server, messages, max_tokens=64, frequency_penalty=0.2))
            place = [rng.randrange(1000), rng.randrange(1000)]
            messages.append({"role": "assistant", "content":
                             f"<think>The screen shows {app}. I tap the {button} button to go on with the task.</think>"
                             f'<answer>do(action="Tap", element={place})</answer>'})
    return said


def copied_text(server):
    """A text that is to be said again."""
    return [chat(server, user("Repeat the following text exactly.\n\n" + TEXT[start:start + 700]))
            for start in range(0, 4200, 700)]


def free_text(server, **more):
    """Nothing to copy."""
    return [chat(server, user(text), **more) for text in (
        "Tell me a story about a fox that wants to fly.", "Why is the sky blue?", "Write a poem about rain.",
        "How do I bake bread?", "Describe a market in the morning.", "What should I see in Rome?")]


def sampled_text(server):
    return free_text(server, temperature=0.8, top_p=0.95, seed=7)


def many_streams(server):
    """Sixteen requests at once."""
    ask = lambda start: chat(server, user("Repeat the following text exactly.\n\n" + TEXT[start:start + 500]))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(ask, range(0, 16 * 250, 250)))


def works(smollm2):
    demo = ["--model", str(cases.MODEL), "--served-model-name", MODEL]
    small = ["--model", smollm2, "--served-model-name", MODEL, "--max-model-len", "8192"]
    return [
        ("agent with screenshots, demo model", demo, agent_with_screens),
        ("agent in words, SmolLM2", small, agent_in_words),
        ("text to repeat, SmolLM2", small, copied_text),
        ("free text, greedy, SmolLM2", small, free_text),
        ("free text, sampled, SmolLM2", small, sampled_text),
        ("16 streams of text to repeat, SmolLM2", small, many_streams),
    ]


def measure(arguments, ask):
    """What one server says, and its counters."""
    server = Server([*arguments, "--sse-keep-alive-interval", "0"])
    try:
        # Memory touched, prompts cached: what counts is decoding.
        said = ask(server)
        before = server.metrics()
        assert ask(server) == said, "two rounds of one server differ"
        after = server.metrics()
    finally:
        server.stop()
    change = lambda name: after.get((name, ()), 0) - before.get((name, ()), 0)
    later = change("vllm:generation_tokens_total") - change("vllm:request_decode_time_seconds_count")
    accepted = change("vllm:spec_decode_num_accepted_tokens_total")
    return said, {
        "rate": later / change("vllm:request_decode_time_seconds_sum"),
        "drafted": change("vllm:spec_decode_num_draft_tokens_total"), "accepted": accepted,
        # Of one sequence: every decode brings one token beside the guesses that were right.
        "tokens per decode": later / (later - accepted), "tokens": later + len(said),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("martlet")
    parser.add_argument("smollm2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--config", type=json.loads, default=CONFIG)
    parser.add_argument("--only", default="", help="works whose name holds this")
    options = parser.parse_args()
    os.environ["MARTLET_BINARY"] = options.martlet
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout
    print(f"{cpu}, {len(os.sched_getaffinity(0))} threads, {platform.system()}; Martlet {commit.strip()}; "
          f"medians of {options.rounds} rounds in turns (least to greatest); {json.dumps(options.config)}\n")
    print("| work | decode without, tok/s | with, tok/s | ratio | tokens a decode | guesses right |\n|---|---|---|---|---|---|")
    for name, arguments, ask in works(options.smollm2):
        if options.only not in name:
            continue
        rows, replies = {False: [], True: []}, []
        for _ in range(options.rounds):
            for speculates in rows:
                more = ["--speculative-config", json.dumps(options.config)] if speculates else []
                said, figures = measure(arguments + more, ask)
                rows[speculates].append(figures)
                replies.append(said)
        assert all(said == replies[0] for said in replies), f"{name}: the replies differ"
        texts, medians = [], []
        for found in rows.values():
            rates = sorted(row["rate"] for row in found)
            medians.append(statistics.median(rates))
            texts.append(f"{medians[-1]:.0f} ({rates[0]:.0f} to {rates[-1]:.0f})")
        last = rows[True][-1]
        print(f"| {name} | {texts[0]} | {texts[1]} | **{medians[1] / medians[0]:.2f}** | "
              f"{last['tokens per decode']:.2f} | {last['accepted']:.0f} of {last['drafted']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
