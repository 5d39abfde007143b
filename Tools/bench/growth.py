"""What work costs as it grows: longer contexts, longer prompts, more sequences on SmolLM2, and more pictures before the
tower of the 9B shape; both programs."""

import programs
import vision

FILE = "smollm2-q4_0-long"
CONTEXTS = [128, 512, 2048, 8192, 32768]
# llama-bench fills a longer one for six minutes and more.
OTHERS_LONGEST = 8192
PROMPTS = [128, 512, 2048, 8192]
SEQUENCES = [1, 2, 4, 8, 16, 32, 64]
DECODED = 16
# One setting, the faster of the two on all but the shortest contexts, where they tie.
SETTING = "fa-on"
OTHER = f"llama.cpp {SETTING}"


def context_work(context):
    return f"growth: decode behind {context}, tok/s"


def prompt_work(prompt):
    return f"growth: prefill {prompt}, tok/s"


def sequence_work(count):
    return f"growth: decode, {count} sequences behind 128, tok/s"


def measure(bench):
    """The contexts are filled by real prefills."""
    path, llama, threads = bench.path(FILE), bench.options.llama, bench.threads
    ours = lambda *values: programs.martlet(bench.options.martlet, path, threads, *values)
    for index in range(bench.rounds("growth")):
        for context in CONTEXTS:
            bench.sample(index, FILE, context_work(context), "martlet", lambda: ours(context, DECODED + 1)[1])
            if context <= OTHERS_LONGEST:
                bench.sample(index, FILE, context_work(context), OTHER, lambda: programs.llama_bench(
                    llama, path, threads, SETTING, tokens=DECODED, depth=context))
        for prompt in PROMPTS:
            bench.sample(index, FILE, prompt_work(prompt), "martlet", lambda: ours(prompt, 2)[0])
            bench.sample(index, FILE, prompt_work(prompt), OTHER, lambda: programs.llama_bench(
                llama, path, threads, SETTING, prompt=prompt))
        for count in SEQUENCES:
            bench.sample(index, FILE, sequence_work(count), "martlet", lambda: ours(128, DECODED + 1, count)[1])
            bench.sample(index, FILE, sequence_work(count), OTHER, lambda: programs.llama_batched(
                llama, path, threads, SETTING, 128, DECODED, [count])[count])
    vision.measure_growth(bench)
