#!/usr/bin/env python3
"""Draws benchmarks/plots/*.svg from a file of results: tokens a second by context, prompt and sequences, and the
roofline of the products.

    python3 plots.py RESULTS.json
"""

import math
import pathlib
import statistics
import sys
from xml.sax.saxutils import escape

import growth
import results
import table

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 64, 16, 40, 48
COLOURS = ["#0b62a4", "#d1495b", "#2e8b57", "#8d6a9f", "#c98b1b", "#3aa6a6", "#a35d2e", "#444444"]


class Plot:
    """A chart of series of (x, y) on logarithmic axes."""

    def __init__(self, title, x_name, y_name, remark):
        self.title, self.x_name, self.y_name, self.remark = title, x_name, y_name, remark
        self.series = []

    def add(self, name, points, is_line=True):
        if points:
            self.series.append((name, sorted(points), is_line))

    def bounds(self, axis):
        values = [point[axis] for _, points, _ in self.series for point in points]
        return math.log(min(values) / 1.25), math.log(max(values) * 1.25)

    def place(self, x, y):
        (x_low, x_high), (y_low, y_high) = self.bounds(0), self.bounds(1)
        return (LEFT + (math.log(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (math.log(y) - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM))

    def ticks(self, axis):
        low, high = (math.exp(bound) for bound in self.bounds(axis))
        steps = (1, 2, 5) if high / low < 300 else (1,)
        values = [step * 10.0**power for power in range(-3, 7) for step in steps]
        xs = sorted({point[0] for _, points, is_line in self.series if is_line for point in points})
        # Lengths and counts are few whole numbers: they are the ticks.
        are_counts = axis == 0 and len(xs) <= 8 and all(isinstance(x, int) for x in xs)
        return xs if are_counts else [value for value in values if low <= value <= high]

    def svg(self):
        lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                 f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
                 f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
        text = lambda x, y, words, anchor="middle", more="": lines.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>')
        text(WIDTH / 2, 18, self.title, more=' font-size="14" font-weight="bold"')
        text(WIDTH / 2, 33, self.remark, more=' font-size="10" fill="#555555"')
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, self.x_name)
        text(14, (TOP + HEIGHT - BOTTOM) / 2, self.y_name,
             more=f' transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})"')
        for value in self.ticks(0):
            x = self.place(value, math.exp(self.bounds(1)[0]))[0]
            lines.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e5e5e5"/>')
            text(x, HEIGHT - BOTTOM + 16, f"{value:g}")
        for value in self.ticks(1):
            y = self.place(math.exp(self.bounds(0)[0]), value)[1]
            lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e5e5e5"/>')
            text(LEFT - 6, y + 4, f"{value:g}", "end")
        lines.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444444"/>')
        first = self.series[0][1]
        # Names stand below the curves.
        is_rising = first[-1][1] > first[0][1]
        for index, (name, points, is_line) in enumerate(self.series):
            colour = COLOURS[index % len(COLOURS)]
            places = [self.place(*point) for point in points]
            if is_line:
                path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
                lines.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
            x, y = WIDTH - 240 if is_rising else LEFT + 14, HEIGHT - BOTTOM - 14 * (len(self.series) - index) + 4
            lines.append(f'<circle cx="{x}" cy="{y - 4}" r="3.5" fill="{colour}"/>')
            text(x + 10, y, name, "start")
        return "\n".join([*lines, "</svg>"]) + "\n"


def curve(outcome, work, program, xs):
    points = [(x, outcome.samples(growth.FILE, work(x), program)) for x in xs]
    return [(x, statistics.median(values)) for x, values in points if values]


def growth_plots(outcome, remark):
    for name, title, x_name, work, xs in (
        ("context", "Decoding, one sequence", "tokens of context", growth.context_work, growth.CONTEXTS),
        ("prefill", "Prefill", "tokens of the prompt", growth.prompt_work, growth.PROMPTS),
        ("batch", "Decoding behind 128 tokens, all sequences", "sequences", growth.sequence_work, growth.SEQUENCES),
    ):
        plot = Plot(title, x_name, "tokens a second", "SmolLM2-135M Q4_0; " + remark)
        plot.add("Martlet", curve(outcome, work, "martlet", xs))
        plot.add("llama.cpp", curve(outcome, work, growth.OTHER, xs))
        if plot.series:
            yield name, plot


def roofline(limits, remark):
    """Products against what memory and, of all products, the fastest allow."""
    plot = Plot("Products of the 9B shapes", "operations a byte of weights", "GOP/s", remark)
    read, products = table.read_limit(limits), limits["products"]
    for kind, activations in sorted({(row["weights"], row["activations"]) for row in products}):
        rows = [row for row in products if (row["weights"], row["activations"]) == (kind, activations)]
        plot.add(f"{kind} by {activations}", [(row["operations_per_second"] / row["bytes_per_second"],
                                               row["operations_per_second"] / 1e9) for row in rows], is_line=False)
    peak = max(row["operations_per_second"] for row in products)
    least, most = plot.bounds(0)
    corner = peak / read
    plot.add("what is read, and the fastest product", [
        (math.exp(least), math.exp(least) * read / 1e9), (corner, peak / 1e9), (math.exp(most), peak / 1e9)])
    return plot


def draw(outcome):
    """Writes what the results have; returns the names of the files."""
    data = outcome.data
    remark = f"{data['machine']['cpu']}, {data['threads']} threads, commit {data['commit']}"
    plots = list(growth_plots(outcome, remark))
    if data["limits"]:
        plots.append(("roofline", roofline(data["limits"], f"{data['limits']['isa']}; {remark}")))
    folder = results.ROOT / "benchmarks/plots"
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in plots:
        (folder / f"{name}.svg").write_text(plot.svg())
    return [f"benchmarks/plots/{name}.svg" for name, _ in plots]


if __name__ == "__main__":
    print("\n".join(draw(results.Results(pathlib.Path(sys.argv[1])))))
