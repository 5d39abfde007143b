#!/usr/bin/env python3
"""Counts the instructions of every kernel on a fixed input and compares them with the recorded figures.

    python3 count.py [--record]

A kernel that takes over 5 % more than benchmarks/instructions.json says fails; one that is new or gone, too. The
machine may be as busy as it likes. Callgrind knows nothing past AVX2: the avx2 table is counted, whose products and
attention are the same source as avx512's. Left out are gelu and rotary_table, which are the C library's functions.
"""

import argparse
import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORD = ROOT / "benchmarks/instructions.json"
TABLE = {"x86_64": "avx2"}.get(platform.machine())
TOLERANCE = 0.05


def compiler():
    """The clang beside swift: what the package is built with."""
    swift = shutil.which("swift")
    clang = pathlib.Path(swift).resolve().parent / "clang" if swift else None
    if not clang or not clang.exists():
        raise SystemExit("There is no clang beside swift.")
    return clang


def build(clang, folder):
    kernels = ROOT / "Sources/CMartletKernels"
    sources = [path for path in kernels.rglob("*.c")]
    objects = []
    for source in [ROOT / "Tools/count/kernels.c", *sorted(sources)]:
        objects.append(folder / f"{len(objects)}.o")
        subprocess.run([clang, "-O2", "-I", kernels / "include", "-c", source, "-o", objects[-1]], check=True)
    subprocess.run([clang, *objects, "-lm", "-Wl,-z,now", "-o", folder / "kernels"], check=True)
    return folder / "kernels"


def count(program, folder):
    """Instructions by case."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program, TABLE], capture_output=True,
        text=True)
    if done.returncode != 0:
        raise SystemExit(f"The count stopped:\n{done.stderr}")
    counts = {}
    for path in folder.glob("out.*"):
        text = path.read_text()
        name = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.MULTILINE)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        if name and total:
            counts[name.group(1)] = int(total.group(1))
    return dict(sorted(counts.items()))


def compare(counts, recorded):
    """Sentences about what is not as recorded; those that fail begin with the case."""
    failures, fewer = [], []
    for name in sorted(counts.keys() | recorded.keys()):
        if name not in recorded or name not in counts:
            failures.append(f"{name}: {'not recorded' if name in counts else 'no longer counted'}")
            continue
        change = counts[name] / recorded[name] - 1
        if change > TOLERANCE:
            failures.append(f"{name}: {counts[name]} instructions, {change:.1%} more than {recorded[name]}")
        elif change < -TOLERANCE:
            fewer.append(f"{name}: {counts[name]} instructions, {-change:.1%} fewer")
    return failures, fewer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write what is counted as the recorded figures")
    options = parser.parse_args()
    if TABLE is None:
        print(f"Nothing to count on {platform.machine()}: callgrind counts the avx2 table.")
        return
    clang = compiler()
    version = subprocess.run([clang, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        counts = count(build(clang, folder), folder)
    if options.record:
        RECORD.write_text(json.dumps({"compiler": version, "table": TABLE, "instructions": counts}, indent=1) + "\n")
        print(f"{len(counts)} counts written to {RECORD.relative_to(ROOT)}")
        return
    recorded = json.loads(RECORD.read_text())
    failures, fewer = compare(counts, recorded["instructions"])
    for sentence in fewer:
        print(f"faster: {sentence}")
    if fewer:
        print("`make count RECORD=1` keeps these.")
    if failures:
        if recorded["compiler"] != version:
            print(f"The figures are of {recorded['compiler']}, this is {version}.")
        raise SystemExit("Slower, or not as recorded (`make count RECORD=1` after a change that is meant):\n  "
                         + "\n  ".join(failures))
    print(f"{len(counts)} kernels take no more instructions than recorded.")


if __name__ == "__main__":
    main()
