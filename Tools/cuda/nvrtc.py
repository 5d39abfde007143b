#!/usr/bin/env python3
"""Compiles every kernel for every architecture and compares what each takes with the recorded figures.

    nvrtc.py [--record]

Kernels come from Sources/CCUDA/kernels, the compiler from PyPI (nvrtc.sh); no GPU is needed. kernels.csv has a row a
kernel: bytes of static shared memory and, for each architecture, registers a thread, and "+" bytes spilled to memory
where there are any. Whatever differs fails, and so do a warning and a kernel of the decode path that spills.
"""

import argparse
import csv
import multiprocessing
import pathlib
import re

import compiler

TABLE = pathlib.Path(__file__).with_name("kernels.csv")
ARCHITECTURES = ["sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_120"]
# What no decode step launches: pictures, and the products and attention of prefill.
PREFILL_ONLY = (
    "extract_patches", "add_positions", "layer_norm", "gelu", "full_attention", "dequantize",
    "attention_f16_128_128", "attention_bf16_128_128", "attention_f16_i8_128_128", "attention_bf16_i8_128_128",
)


def figures_of(task):
    """[(kernel, architecture, registers, shared bytes, spilled bytes)] of a file, from ptxas' own lines."""
    file, architecture = task
    figures, kernel, spilled = [], None, 0
    for line in compiler.compile_file(file, architecture).splitlines():
        if found := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = found.group(1)
        elif found := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled = max(int(found.group(1)), int(found.group(2)))
        elif found := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            figures.append((kernel, architecture, int(found.group(1)), int(shared.group(1)) if shared else 0, spilled))
        elif line.strip() and not re.match(r"ptxas", line):
            raise compiler.CompilerError(f"{file}, {architecture}: {line}")
    if not figures:
        raise compiler.CompilerError(f"{file}, {architecture}: the compiler's log says nothing of any kernel.")
    return figures


def compile_all():
    """[(kernel, architecture, registers, shared, spilled)] of every file and architecture."""
    files = sorted(path.name for path in compiler.KERNELS.glob("*.cu"))
    tasks = [(file, architecture) for file in files for architecture in ARCHITECTURES]
    with multiprocessing.Pool() as pool:
        return [figure for figures in pool.imap_unordered(figures_of, tasks) for figure in figures]


def table_of(figures):
    """{kernel: [shared, cell of each architecture]}; shared memory is the same for all of them, or listed."""
    table = {}
    for kernel in sorted({figure[0] for figure in figures}):
        mine = {figure[1]: figure for figure in figures if figure[0] == kernel}
        shared = sorted({figure[3] for figure in mine.values()})
        cells = [f"{mine[name][2]}" + (f"+{mine[name][4]}" if mine[name][4] else "") for name in ARCHITECTURES]
        table[kernel] = [" ".join(map(str, shared)), *cells]
    return table


def differences(table, recorded):
    """A sentence for each kernel that is not as recorded."""
    sentences = []
    for kernel in sorted(table.keys() | recorded.keys()):
        if kernel not in table or kernel not in recorded:
            sentences.append(f"{kernel}: {'not recorded' if kernel in table else 'no longer there'}")
            continue
        for name, now, before in zip(["shared bytes", *ARCHITECTURES], table[kernel], recorded[kernel]):
            if now != before:
                sentences.append(f"{kernel}, {name}: {now}, recorded {before}")
    return sentences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write what is found as the recorded figures")
    arguments = parser.parse_args()
    try:
        compiler.check_sources()
        figures = compile_all()
    except compiler.CompilerError as error:
        raise SystemExit(error)
    spilling = [f"{kernel}, {architecture}: {spilled} bytes" for kernel, architecture, _, _, spilled in sorted(figures)
                if spilled and not kernel.startswith(PREFILL_ONLY)]
    if spilling:
        raise SystemExit("Kernels of the decode path spill registers to memory:\n  " + "\n  ".join(spilling))
    table = table_of(figures)
    header = ["kernel", "shared", *ARCHITECTURES]
    if arguments.record:
        with TABLE.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([[compiler.version()], header, *([kernel, *row] for kernel, row in table.items())])
        print(f"{len(table)} kernels written to {TABLE.relative_to(compiler.ROOT)}")
        return
    with TABLE.open(newline="") as file:
        [[of], kept, *rows] = csv.reader(file)
    if kept != header:
        raise SystemExit(f"{TABLE.name} has other columns; `make nvrtc RECORD=1` writes it anew.")
    failures = differences(table, {row[0]: row[1:] for row in rows})
    if failures:
        if of != compiler.version():
            print(f"The figures are of {of}, this is {compiler.version()}.")
        raise SystemExit("Not as recorded (`make nvrtc RECORD=1` after a change that is meant):\n  "
                         + "\n  ".join(failures))
    print(f"{len(table)} kernels compile for {', '.join(ARCHITECTURES)} as recorded; none of the decode path spills.")
    print(f"nvrtc: planned {len(table) * len(ARCHITECTURES)}, run {len(figures)}, passed {len(figures)}")


if __name__ == "__main__":
    main()
