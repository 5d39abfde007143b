#!/usr/bin/env python3
"""The figures of ranks and stages, on this machine: what a sum over two ranks costs, as threads and over MPI, what two
ranks of one core make of one rank of two, and how much of the time two stages are busy together.

    parallel_figures.py MARTLET_BINARY SMOLLM2.gguf

Each figure has a limit, or only has to be there where it depends on the machine alone. Ends with "figures: planned N,
run N, passed N". Standard library only.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The 9B shape with made-up weights, which are made 4-bit while it is loaded.
NINE_B = (ROOT / "Tests/EndToEnd/full-size", "--tokenizer", ROOT / "Tests/EndToEnd/tiny-glm4v",
          "--load-format", "dummy", "-q", "int4")
MPIRUN = ("mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", "2")
SIZES = [4096 << 2 * step for step in range(7)]
DECODE_BYTES, DECODE_SECONDS = 16384, 20e-6
TOGETHER_SHARE = 0.6


def measured(*command):
    """What a benchmark writes as JSON; its own words go out as they come."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([*map(str, command), "--json", file.name], check=True, timeout=900)
        return json.loads(Path(file.name).read_text())


def bench(binary, *arguments):
    """The one row of `martlet bench`."""
    return measured(binary, "bench", *arguments, "--context", "128")[0]


def sums(*command):
    """Seconds of an all-reduce over two ranks, by bytes; every size has to be there."""
    rows = measured(*command)["all_reduce"]
    seconds = {row["bytes"]: row["seconds"] for row in rows}
    if sorted(seconds) != SIZES:
        raise ValueError(f"sizes measured: {sorted(seconds)}")
    return seconds


def all_reduce(binary, _):
    """4 KiB to 16 MiB over two ranks; a decoded row of the 9B model takes a few microseconds."""
    decode = sums(binary, "bench-ranks", "--ranks", "2")[DECODE_BYTES]
    return decode <= DECODE_SECONDS, f"all-reduce of 16 KiB over 2 ranks: {decode * 1e6:.1f} us (limit 20)"


def all_reduce_over_mpi(binary, _):
    """The same between two processes; the bits are compared before the time is taken."""
    decode = sums(*MPIRUN, binary, "bench-ranks")[DECODE_BYTES]
    return decode > 0, f"the same over MPI, two processes: {decode * 1e6:.1f} us"


def tensor_parallel(binary, _):
    """One rank with two threads beside two ranks with one each: the same work on the same processors."""
    common = (*NINE_B, "--threads", "2", "--tokens", "16")
    one, two = bench(binary, *common), bench(binary, *common, "--tensor-parallel-size", "2")
    ratios = [two[name] / one[name] for name in ("prefill_tokens_per_second", "decode_tokens_per_second")]
    return min(ratios) > 0, ("9B shape in 4 bits, 2 ranks of 1 thread beside 1 rank of 2: "
                             f"prefill {ratios[0]:.2f}, decode {ratios[1]:.2f}")


def pipeline(binary, smollm2):
    """Two stages under load: the share of the time in which both compute."""
    row = bench(
        binary, smollm2, "--threads", "2", "--sequences", "16", "--tokens", "64", "--pipeline-parallel-size", "2")
    share, bubbles = row["all_stages_busy_share"], " and ".join(f"{bubble:.0%}" for bubble in row["bubble_shares"])
    return share >= TOGETHER_SHARE, (f"both stages busy together: {share:.0%} of the time (limit {TOGETHER_SHARE:.0%}), "
                                     f"bubbles {bubbles}")


FIGURES = (all_reduce, all_reduce_over_mpi, tensor_parallel, pipeline)


def main():
    run = passed = 0
    for figure in FIGURES:
        try:
            is_met, text = figure(*sys.argv[1:])
        except (OSError, subprocess.SubprocessError, KeyError, IndexError, ValueError) as error:
            print(f"figures: {figure.__name__} did not run: {error!r}")
            continue
        run += 1
        passed += is_met
        print(f"figures: {text}{'' if is_met else ': FALLS SHORT'}", flush=True)
    print(f"figures: planned {len(FIGURES)}, run {run}, passed {passed}")
    sys.exit(0 if passed == len(FIGURES) else 1)


if __name__ == "__main__":
    main()
