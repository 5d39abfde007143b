"""One measurement by one program: `martlet bench` and llama.cpp's own benches, each a fresh process."""

import json
import subprocess
import tempfile

# Flash attention, and llama.cpp's packing of weights for its kernels. What is measured later is the best of these.
SETTINGS = {
    "fa-on": ["-fa", "on"],
    "fa-off": ["-fa", "off"],
    "fa-on-no-repack": ["-fa", "on", "no-repack"],
}
# `llama-bench` says it otherwise than the rest.
NO_REPACK = {"llama-bench": ["--repack", "0"], "other": ["--no-repack"]}


def setting_arguments(program, setting):
    arguments = []
    for word in SETTINGS[setting]:
        arguments += NO_REPACK.get(program, NO_REPACK["other"]) if word == "no-repack" else [word]
    return arguments


def run(arguments, both=False):
    """Standard output, or both; a failure ends the bench with the program's last words."""
    done = subprocess.run([str(word) for word in arguments], capture_output=True, text=True)
    if done.returncode != 0:
        words = " ".join(map(str, arguments))
        raise SystemExit(f"{words}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout + done.stderr if both else done.stdout


def martlet(program, model, threads, context, tokens, sequences=1, repeats=1, extra=()):
    """`martlet bench`'s row: prefill and decode in tokens a second over all sequences, and the bytes a second at which
    the weights were read by themselves after each run."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        run([program, "bench", model, "--context", context, "--tokens", tokens, "--sequences", sequences, "--repeats",
             repeats, "--threads", threads, "--json", file.name, *extra])
        row = json.load(open(file.name))[0]
    return row["prefill_tokens_per_second"], row["decode_tokens_per_second"], row["weights_read_bytes_per_second"]


def llama_bench(folder, model, threads, setting, prompt=0, tokens=0, depth=0, repeats=1):
    """Tokens a second of one test of `llama-bench`: a prompt, or `tokens` decoded behind `depth` tokens."""
    output = run([f"{folder}/llama-bench", "-m", model, "-t", threads, "-p", prompt, "-n", tokens, "-d", depth, "-r",
                  repeats, "-o", "jsonl", *setting_arguments("llama-bench", setting)])
    return json.loads(output.splitlines()[-1])["avg_ts"]


def llama_batched(folder, model, threads, setting, context, tokens, sequences):
    """Decoded tokens a second of `llama-batched-bench`, over all sequences, for each number of them."""
    room = max(sequences) * (context + tokens)
    output = run([f"{folder}/llama-batched-bench", "-m", model, "-t", threads, "-c", room, "-b", 2048, "-ub", 512,
                  "-npp", context, "-ntg", tokens, "-npl", ",".join(map(str, sequences)), "--output-format", "jsonl",
                  *setting_arguments("llama-batched-bench", setting)])
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {row["pl"]: row["speed_tg"] for row in rows}
