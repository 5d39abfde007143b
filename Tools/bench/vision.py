"""The vision tower and merger of the 9B shape by themselves: Martlet, transformers on torch, and llama.cpp's mtmd, on
the same made-up weights and pictures; and what pictures add to a prefill.

Pictures have the size that all three round to, so that none of them resizes. Every measurement is a fresh process that
encodes a small picture first.
"""

import json
import re
import statistics
import struct
import tempfile
import zlib

import numpy

import made_up_vision as tower
import programs
import results
import weights

FILE = "vision"
# The screen, and what the processor makes of it: sides rounded to 28 (MODEL.md 3.2).
PICTURES = {"360×800": (364, 812), "1080×2400": (1092, 2408)}
ROUNDS = {"360×800": 5, "1080×2400": 1}
SMALL = (112, 112)
# Martlet's settings: name, its arguments, and the weights and activations of the products that bound it: of linear
# layers, and of attention.
SETTINGS = {
    "f32": ([], ("BF16", "f32"), ("BF16", "f32")),
    "bf16": (["--activations", "bf16"], ("BF16", "bf16"), ("BF16", "bf16")),
    "int8": (["--quantization", "int8"], ("Q8_0", "int8"), ("BF16", "f32")),
    "int8-bf16": (["--quantization", "int8", "--activations", "bf16"], ("Q8_0", "int8"), ("BF16", "bf16")),
}
TORCH_TYPES = ["float32", "bfloat16"]
MMPROJ_TYPES = ["BF16", "Q8_0"]
FLASH = ["fa-on", "fa-off"]
# The tower's matrices as rows x columns; the merger's are few rows of activations.
SHAPES = [(3 * tower.HIDDEN, tower.HIDDEN), (tower.HIDDEN, tower.HIDDEN), (2 * tower.INNER, tower.HIDDEN),
          (tower.HIDDEN, tower.INNER)]
SHAPE_ROWS = 1024
# Pictures of a prompt, and the settings that prefill them.
GROWTH_COUNTS = [1, 2, 3, 4]
GROWTH_PICTURE = "360×800"
GROWTH_SETTING = "bf16"
GROWTH_OTHER = ("BF16", "fa-on")
# Tokens of text behind the pictures.
GROWTH_TEXT = 16
# The least ratio to transformers, and what of the limit meets the goal, too.
GOAL, SHARE = 1.3, 0.85


def work_name(picture):
    return f"vision: {picture}, seconds"


def growth_work(count):
    return f"growth: prefill with pictures of {GROWTH_PICTURE}, {count}, seconds"


def patch_count(picture):
    width, height = PICTURES[picture]
    return width * height // tower.PATCH**2


def linear_operations(patches):
    """Two for each weight and row that it meets: patches in the tower, tokens in the merger (MODEL.md 2.1)."""
    block = 4 * tower.HIDDEN**2 + 3 * tower.HIDDEN * tower.INNER
    merger = tower.MERGE**2 * tower.HIDDEN * tower.OUTPUT + tower.OUTPUT**2 + 3 * tower.OUTPUT * tower.MERGED
    embedding = tower.HIDDEN * tower.PATCH_WIDTH
    return 2 * patches * (embedding + tower.DEPTH * block) + 2 * patches // tower.MERGE**2 * merger


def attention_operations(patches):
    """Every patch meets every patch, in scores and in values."""
    return 4 * tower.DEPTH * patches**2 * tower.HIDDEN


def operations(patches):
    return linear_operations(patches) + attention_operations(patches)


# Measuring


def picture_file(folder, size):
    """The picture of MODEL.md 7.2 as a PNG."""
    width, height = size
    rows = b"".join(b"\0" + bytes((7 * x + 13 * y + 29 * channel + x * y % 11) % 256 for x in range(width)
                                  for channel in range(3)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path = f"{folder}/{width}x{height}.png"
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


class Towers:
    """The three programs, each with its files."""

    def __init__(self, bench, folder):
        self.bench, self.folder = bench, folder
        self.threads = bench.threads
        self.directory = weights.vision_directory()
        self.python = programs.run([results.ROOT / "Tools/bench/torch.sh"]).strip()
        self.data = bench.results.data.setdefault("vision", {})
        count = tower.parameter_count()
        bench.results.data["files"][FILE] = {"name": self.directory.name, "bytes": 2 * count, "parameters": count}

    def martlet(self, picture, name, more=()):
        width, height = PICTURES[picture]
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            programs.run([self.bench.options.martlet, "bench-vision", self.directory, "--size", f"{width}x{height}",
                          "--repeats", 1, "--threads", self.threads, "--json", file.name, *SETTINGS[name][0],
                          *more])
            row = json.load(open(file.name))[0]
        assert row["patches"] == patch_count(picture), f"martlet: {row['patches']} patches of {picture}"
        return row["seconds"]

    def torch(self, picture, dtype, more=()):
        output = programs.run([self.python, results.ROOT / "Tools/bench/torch_tower.py", self.directory, self.threads,
                               dtype, *PICTURES[picture], *more])
        row = json.loads(output.splitlines()[-1])
        self.data["torch"] = row["torch"]
        assert row["patches"] == patch_count(picture), f"transformers: {row['patches']} patches of {picture}"
        return row["seconds"]

    def errors(self):
        """Relative L2 distances of embeddings from those of transformers in float32: what an arithmetic costs, and that
        the programs do the same work. mtmd hands out none."""
        picture, path = next(iter(PICTURES)), f"{self.folder}/embeddings"

        def embeddings(run, name, option):
            run(picture, name, [*option, path])
            return numpy.fromfile(path, "<f4").astype(numpy.float64)

        truth = embeddings(self.torch, TORCH_TYPES[0], [])
        distance = lambda values: float(numpy.linalg.norm(values - truth) / numpy.linalg.norm(truth))
        found = {f"transformers {dtype}": distance(embeddings(self.torch, dtype, [])) for dtype in TORCH_TYPES[1:]}
        for name in SETTINGS:
            found[f"martlet {name}"] = distance(embeddings(self.martlet, name, ["--embeddings"]))
        assert max(found.values()) < 0.1, f"embeddings differ: {found}"
        return found

    def mtmd(self, picture, kind, flash, count=1):
        """Seconds of encoding `count` pictures."""
        small, large = (picture_file(self.folder, size) for size in (SMALL, PICTURES[picture]))
        output = programs.run([
            f"{self.bench.options.llama}/llama-mtmd-cli", "-m", weights.vision_text(), "--mmproj",
            weights.mmproj(kind), "--image", ",".join([small] + [large] * count), "-p", "x", "-n", 1, "-t",
            self.threads, "-c", 16384, "--no-warmup", "--temp", 0, "--jinja", *programs.SETTINGS[flash]], both=True)
        return encoding_seconds(output, count)


def encoding_seconds(output, count):
    """Of llama-mtmd-cli's log: of all pictures but the first, which warms up."""
    encoded = [int(milliseconds) / 1000 for milliseconds in re.findall(r"batch encoding done in (\d+) ms", output)]
    assert len(encoded) == count + 1, f"mtmd encoded {len(encoded)} of {count + 1} pictures:\n{output[-2000:]}"
    return sum(encoded[1:])


def measure(bench):
    """Rounds in turns; later ones with the settings that were best in the first."""
    with tempfile.TemporaryDirectory() as folder:
        towers = Towers(bench, folder)
        measure_limits(bench)
        if "errors" not in towers.data:
            towers.data["errors"] = towers.errors()
        for picture in PICTURES:
            for index in range(bench.options.rounds or ROUNDS[picture]):
                for program, sample in turns(bench, towers, picture, index):
                    bench.sample(index, FILE, work_name(picture), program, sample)
    bench.results.write()


def turns(bench, towers, picture, index):
    """(program, its measurement) of one round."""
    for name in SETTINGS:
        yield f"martlet {name}", lambda: towers.martlet(picture, name)
    for dtype in chosen(bench, picture, index, "transformers", TORCH_TYPES):
        yield f"transformers {dtype}", lambda: towers.torch(picture, dtype)
    for kind in MMPROJ_TYPES:
        for flash in chosen(bench, picture, index, f"llama.cpp {kind}", FLASH):
            yield f"llama.cpp {kind} {flash}", lambda: towers.mtmd(picture, kind, flash)


def chosen(bench, picture, index, prefix, settings):
    """All settings in the first round of the first picture, then the one that was best in it."""
    first = next(iter(PICTURES))
    if picture == first and index == 0:
        return settings
    best = bench.results.best(FILE, work_name(first), prefix)
    return [best.split(" ")[-1]] if best else settings


def measure_limits(bench):
    """Products of the tower's shapes by themselves."""
    data = bench.results.data["vision"]
    if "products" in data:
        return
    kinds = sorted({weights.lower() for _, *peaks in SETTINGS.values() for weights, _ in peaks})
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        programs.run([bench.options.martlet, "bench-kernels", "--threads", bench.threads, "--weights", ",".join(kinds),
                      "--rows", SHAPE_ROWS, "--shapes", ",".join(f"{rows}x{columns}" for rows, columns in SHAPES),
                      "--json", file.name])
        data["products"] = json.load(open(file.name))["products"]
    bench.results.write()


def measure_growth(bench):
    """What each further picture adds to a prompt: seconds to the first token, and of mtmd the encoding alone."""
    with tempfile.TemporaryDirectory() as folder:
        towers = Towers(bench, folder)
        for count in GROWTH_COUNTS:
            work = growth_work(count)
            bench.sample(0, FILE, work, "martlet", lambda: prefill_seconds(bench, towers, count))
            bench.sample(0, FILE, work, f"llama.cpp {GROWTH_OTHER[1]}",
                         lambda: towers.mtmd(GROWTH_PICTURE, *GROWTH_OTHER, count))


def prefill_seconds(bench, towers, count):
    size = "x".join(map(str, PICTURES[GROWTH_PICTURE]))
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        programs.run([bench.options.martlet, "bench", towers.directory, "--context", GROWTH_TEXT, "--tokens", 2,
                      "--repeats", 1, "--images", count, "--image-size", size, "--threads", bench.threads, "--json",
                      file.name, *SETTINGS[GROWTH_SETTING][0]])
        row = json.load(open(file.name))[0]
    return row["context"] / row["prefill_tokens_per_second"]


# The table


def peak(products, kind):
    """Operations a second of the best product with these weights and activations."""
    return max((row["operations_per_second"] for row in products if (row["weights"], row["activations"]) == kind),
               default=None)


def limit_seconds(data, picture, name):
    """What linear layers and attention take at the fastest product of the arithmetic that each of them uses."""
    rates = [peak(data["vision"]["products"], kind) for kind in SETTINGS[name][1:]]
    patches = patch_count(picture)
    return linear_operations(patches) / rates[0] + attention_operations(patches) / rates[1] if all(rates) else None


def rows(outcome, number, spread):
    """Cells of one line for each picture and each of Martlet's settings."""
    for picture in PICTURES:
        work, count = work_name(picture), operations(patch_count(picture))
        programs = outcome.programs(FILE, work)
        others = [outcome.best(FILE, work, prefix) for prefix in ("transformers", "llama.cpp")]
        for name in SETTINGS:
            samples = programs.get(f"martlet {name}")
            if not samples or not all(others):
                continue
            seconds = statistics.median(samples)
            ratios = [statistics.median(programs[other]) / seconds for other in others]
            limit = limit_seconds(outcome.data, picture, name)
            share = limit / seconds if limit else 0
            is_met = ratios[0] >= GOAL and ratios[1] > 1 or share >= SHARE
            yield [picture, name, spread(samples), number(count / seconds / 1e12)] + [
                cell for other, ratio in zip(others, ratios)
                for cell in (f"{spread(programs[other])}, {other.split(' ', 1)[1]}", f"**{ratio:.2f}**")
            ] + [number(limit) if limit else "", f"{share:.0%}" if limit else "", "yes" if is_met else "no"]


def error_text(outcome, program):
    error = outcome.data["vision"].get("errors", {}).get(program)
    return f"{error:.1e}" if error is not None else ""


def text(outcome, number, spread):
    """Markdown; nothing where nothing was measured. number and spread write figures as the main table does."""
    lines = list(rows(outcome, number, spread))
    if not lines:
        return ""
    heading = ["picture", "Martlet's arithmetic", "seconds", "TFLOP/s", "transformers", "ratio", "llama.cpp mtmd",
               "ratio", "limit", "of limit", "met"]
    torch = outcome.data["vision"]["torch"]
    out = ["", f"### Vision tower and merger of the 9B shape, bf16 weights (torch {torch})", "",
           f"Goals: {GOAL} × transformers and ahead of mtmd, or {SHARE:.0%} of the limit.", "",
           f"| {' | '.join(heading)} |", "|" + "---|" * len(heading), *(f"| {' | '.join(cells)} |" for cells in lines),
           "", "Error: relative L2 distance of the embeddings from those of transformers in float32.", "",
           "| picture | program | seconds | TFLOP/s | error |", "|---|---|---|---|---|"]
    for picture in PICTURES:
        count = operations(patch_count(picture))
        out += [f"| {picture} | {program} | {spread(samples)} | {number(count / statistics.median(samples) / 1e12)} | "
                f"{error_text(outcome, program)} |"
                for program, samples in outcome.programs(FILE, work_name(picture)).items()]
    return "\n".join(out)
