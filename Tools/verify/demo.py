#!/usr/bin/env python3
"""Shows that the demo model sees (make verify-demo): the default server, asked over HTTP about screens never drawn in
training. Prints each figure with its bar, and "demo: planned N, run N, passed N"; fails when one falls short.

    python3 demo.py [--screens 500] [--quantization int8 int4]

With --quantization only the held-out screens are asked, once for each of these formats of weights.
"""

import argparse
import concurrent.futures
import pathlib
import random
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/EndToEnd"), str(ROOT / "Tools/demo-model")]

import cases
import prompts
import words
from agent import Agent
from server import MODEL, Server


class Figures:
    """Checks by name, each with a bar; what was planned and did not run is a failure."""

    def __init__(self, planned):
        self.planned, self.run, self.passed = planned, 0, 0

    def show(self, name, good, text):
        self.run += 1
        self.passed += bool(good)
        print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)

    def share(self, name, right, of, bar):
        self.show(name, right >= bar * of, f"{right} of {of}, {right / of:.1%} (at least {bar:.1%})")


def replies_to(server, asked, form="PNG"):
    """The replies to cases, some at a time; a line of progress on the way."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        replies = []
        for reply in pool.map(lambda case: server.ask(case.question, case.encoded(form), form)["content"], asked):
            replies.append(reply)
            if sys.stderr.isatty() and len(replies) % 10 == 0:
                print(f"\r{len(replies)} of {len(asked)} ", end="", file=sys.stderr, flush=True)
    return replies


def sights(figures, server, screens):
    """Held-out screens, styles never drawn, other actions; Martlet beside what transformers said."""
    known = cases.known()
    groups = {"held-out": cases.held_out(screens), "unseen styles": cases.unseen(max(1, screens // 5)),
              "other actions": cases.others()}
    verdicts, same, total = {}, 0, 0
    for name, asked in groups.items():
        said = replies_to(server, asked)
        verdicts[name] = [cases.judge(case, reply) for case, reply in zip(asked, said)]
        theirs = sum(cases.judge(case, known[case.name]).right for case in asked)
        mine = sum(verdict.right for verdict in verdicts[name])
        same += sum(reply == known[case.name] for case, reply in zip(asked, said))
        total += len(asked)
        if name == "held-out":
            case_figures(figures, asked)
            figures.share("held-out: taps inside the target", mine, len(asked), 0.95)
            figures.show("held-out: as transformers", abs(mine - theirs) <= 0.005 * len(asked),
                         f"{mine} inside, transformers {theirs}, of {len(asked)} (at most half a point apart)")
        else:
            figures.share(f"{name}: right", mine, len(asked), 0.85 if name == "unseen styles" else 0.95)
    both = verdicts["held-out"] + verdicts["other actions"]
    figures.share("held-out and other actions: the right action", sum(v.typed for v in both), len(both), 0.98)
    figures.share("held-out and other actions: parsed", sum(v.parsed for v in both), len(both), 0.995)
    print(f"     {same} of {total} replies are transformers' to the letter")


def quantised(figures, name, screens):
    """Held-out screens with quantised weights, beside what transformers said with the plain ones."""
    known, asked = cases.known(), cases.held_out(screens)
    server = Server(["--quantization", name], program=["bash", str(ROOT / "run_autoglm_server.sh")])
    try:
        said = replies_to(server, asked)
    finally:
        server.stop()
    mine = sum(cases.judge(case, reply).right for case, reply in zip(asked, said))
    theirs = sum(cases.judge(case, known[case.name]).right for case in asked)
    same = sum(reply == known[case.name] for case, reply in zip(asked, said))
    figures.share(f"{name}: held-out: taps inside the target", mine, len(asked), 0.95)
    print(f"     with plain weights {theirs}; {same} replies are the same to the letter")


def case_figures(figures, asked):
    middle = statistics.median(map(cases.side, asked))
    figures.show("held-out: size of targets", middle <= 0.08, f"median side {middle:.1%} of the height (at most 8%)")
    counts = [cases.rivals(case) for case in asked]
    figures.show("held-out: distractors", min(count for count, _ in counts) >= 6,
                 f"at least {min(count for count, _ in counts)} (6), in "
                 f"{sum(akin > 0 for _, akin in counts)} of {len(asked)} some share the target's colour or kind")


def formats(figures, server):
    """The same seeds as PNG, JPEG and WebP, on three sizes of screen."""
    asked = cases.formats()
    right = {}
    for form in cases.FORMATS:
        chosen = [case for case, name in asked if name == form]
        for case, reply in zip(chosen, replies_to(server, chosen, form)):
            right.setdefault((case.size, form), []).append(cases.judge(case, reply).right)
    for (size, form), hits in sorted(right.items()):
        print(f"     {size[0]} x {size[1]} {form}: {sum(hits)} of {len(hits)}")
    figures.share("formats and sizes: taps inside", sum(map(sum, right.values())), len(asked), 0.95)


def identity(figures, server):
    """Who it is: the alias is the 9B's, the answer is its own; a short thought, apart when asked for."""
    tokens = lambda text: server.http.post("/tokenize", json={
        "prompt": text, "add_special_tokens": False}).json()["count"]
    right = asked = longest = 0
    for language, (questions, _, _) in words.IDENTITY.items():
        for question in questions:
            whole = server.ask(question)["content"]
            apart = server.ask(question, return_reasoning=True)
            thought, answer = apart.get("reasoning") or "", apart["content"] or ""
            longest = max(longest, tokens(thought))
            kind = "演示" if language == "zh" else "demonstration"
            honest = "autoglm-phone-tiny" in answer and kind in answer
            right += honest and bool(thought) and "<think>" in whole and "<" not in answer + thought
            asked += 1
    figures.share("identity: says what it is, the thought apart", right, asked, 1.0)
    figures.show("identity: length of the thought", 0 < longest <= 24, f"at most {longest} tokens (24)")
    print("     你是谁? ->", server.ask("你是谁?")["content"])
    root = server.http.get("/v1/models").json()["data"][0]
    figures.show("/v1/models and the log say which model it is",
                 root["id"] == MODEL and "autoglm-phone-tiny" in root["root"] and "autoglm-phone-tiny" in server.log(),
                 f"id {root['id']}, root {pathlib.Path(root['root']).name}")


def tasks(figures, server):
    """Whole tasks as Open-AutoGLM runs them: a long system prompt, history without pictures, streams, a penalty."""
    parsed = right = steps = whole = 0
    asked = cases.tasks()
    for index, (task, screens) in enumerate(asked):
        agent = Agent(server, prompts.long_prompt(random.Random(index), ["zh", "en"][index % 2], 3400))
        all_right = True
        for step, case in enumerate(screens):
            text = f'{task}\n\n{{"current_app": "System Home"}}' if step == 0 else \
                '** Screen Info **\n\n{"current_app": "System Home"}'
            thoughts, action = agent.step(text, case.picture())
            verdict = cases.judge(case, action)
            steps += 1
            parsed += verdict.parsed
            right += verdict.right
            all_right &= verdict.right
            if not verdict.right:
                print(f"     miss: {task!r} step {step + 1}: {thoughts} {action} | {case.expected or case.thing}")
        whole += all_right
    figures.share("tasks of an agent: actions parsed", parsed, steps, 1.0)
    figures.share("tasks of an agent: steps right", right, steps, 0.85)
    print(f"     whole tasks right, from the first step to finish(): {whole} of {len(asked)}")


def pytest(figures, name, test):
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"Tests/EndToEnd/{test}"]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    figures.show(name, done.returncode == 0, done.stdout.strip().splitlines()[-1])
    if done.returncode:
        print(done.stdout[-3000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screens", type=int, default=500)
    parser.add_argument("--quantization", nargs="+", default=[])
    options = parser.parse_args()
    if options.quantization:
        figures = Figures(planned=len(options.quantization))
        for name in options.quantization:
            quantised(figures, name, options.screens)
        sys.exit(0 if figures.planned == figures.run == figures.passed else 1)
    figures, begun = Figures(planned=18), time.time()
    try:
        size = sum(path.stat().st_size for path in cases.MODEL.rglob("*") if path.is_file())
        figures.show("size of the model's folder", size <= 15_000_000, f"{size / 1e6:.1f} MB (at most 15)")
        server = Server([], program=["bash", str(ROOT / "run_autoglm_server.sh")])
        try:
            sights(figures, server, options.screens)
            formats(figures, server)
            identity(figures, server)
            tasks(figures, server)
        finally:
            status = server.stop()
        figures.show("the server ends well", status == 0 and not server.stack_trap(), f"exit {status}")
        pytest(figures, "40 screens on each backend", "test_demo.py")
        pytest(figures, "Examples/verify.ipynb", "test_notebook.py")
    finally:
        print(f"{time.time() - begun:.0f} s")
        print(f"demo: planned {figures.planned}, run {figures.run}, passed {figures.passed}")
    sys.exit(0 if figures.planned == figures.run == figures.passed else 1)


if __name__ == "__main__":
    main()
