#!/usr/bin/env python3
"""Draws phone screens whose objects are known: never two equal, the same picture for the same seed.

    python3 draw.py FOLDER --shards 24 --size 512      pictures for training, in shards of NumPy arrays
    python3 draw.py FOLDER --png 8 --first 10000000    a few full-size screens as PNG, with their objects as JSON
"""

import argparse
import json
import math
import os
import random

import numpy
from PIL import Image, ImageDraw, ImageFont

from words import COLOURS, COLOUR_NAMES, LETTERS, PLAIN, SHAPES

PHONES = [(1080, 2400), (1440, 3200), (1080, 2340), (720, 1600), (720, 1280), (1080, 1920), (1440, 2560)]
# Pixels of a still at most after the resize; `longest_edge` of preprocessor_config.json is twice that.
PIXELS = 62_800
HELD_OUT = 10_000_000
UNSEEN = 20_000_000
NOISE = ["Today", "Photos", "news", "12:30", "More", "Wi-Fi", "items", "Account", "Search", "68%", "Order", "help"]
CAPTIONS = ["Mail", "Play", "Shop", "Bank", "Notes", "Maps"]
NEW_NOISE = ["Otter", "Fjord", "quince", "7 km", "Zebra", "Lyric"]
FONTS = {}


def model_size(width, height):
    """The size (width, height) that serving resizes a screenshot to (MODEL.md 3.2)."""
    high, wide = round(height / 28) * 28, round(width / 28) * 28
    if high * wide > PIXELS:
        beta = math.sqrt(height * width / PIXELS)
        high, wide = max(28, math.floor(height / beta / 28) * 28), max(28, math.floor(width / beta / 28) * 28)
    return wide, high


def font(size):
    if size not in FONTS:
        FONTS[size] = ImageFont.load_default(size)
    return FONTS[size]


def shade(rng, colour, amount=16):
    light = rng.uniform(0.9, 1.06)
    return tuple(min(255, max(0, int(part * light + rng.uniform(-amount, amount)))) for part in colour)


def polygon(kind, x, y, r):
    if kind == "triangle":
        return [(x, y - r), (x + r, y + r), (x - r, y + r)]
    if kind == "diamond":
        return [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
    if kind == "cross":
        t = r * 0.36
        return [(x - t, y - r), (x + t, y - r), (x + t, y - t), (x + r, y - t), (x + r, y + t), (x + t, y + t),
                (x + t, y + r), (x - t, y + r), (x - t, y + t), (x - r, y + t), (x - r, y - t), (x - t, y - t)]
    if kind == "star":
        points = [(r if index % 2 == 0 else r * 0.42, math.pi * index / 5) for index in range(10)]
        return [(x + far * math.sin(angle), y - far * math.cos(angle)) for far, angle in points]
    steps = [math.tau * index / 28 for index in range(28)]  # heart
    return [(x + r * math.sin(t) ** 3,
             y - r * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
            for t in steps]


def paint(pen, thing, box, rng, new_style):
    """Paints one object into its box of pixels."""
    x0, y0, x1, y1 = box
    x, y, r = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2
    kind = thing["kind"]
    fill = shade(rng, COLOURS[thing["colour"]][1]) if thing["colour"] else None
    line = (30, 30, 30) if new_style else None
    if not new_style and fill and rng.random() < 0.2:
        line = tuple(int(part * 0.75) for part in fill) if rng.random() < 0.5 else (245, 245, 245)
    if kind == "circle":
        pen.ellipse(box, fill, line)
    elif kind == "ring":
        pen.ellipse(box, None, fill, max(1, int(r * rng.uniform(0.32, 0.45))))
    elif kind == "square":
        pen.rounded_rectangle(box, r * rng.uniform(0, 0.25), fill, line)
    elif kind in SHAPES:
        pen.polygon(polygon(kind, x, y, r), fill, line)
    elif kind in LETTERS:
        pen.rounded_rectangle(box, r * rng.uniform(0.2, 0.6), fill, line)
        pen.text((x, y), kind[-1], (255, 255, 255), font(int(r * 1.6)), "mm", stroke_width=max(1, int(r * 0.05)))
    elif kind == "switch":
        pen.rounded_rectangle(box, (y1 - y0) / 2, fill, line)
        pad = (y1 - y0) * 0.12
        knob = (y1 - y0) - 2 * pad
        left = x1 - pad - knob if rng.random() < 0.7 else x0 + pad
        pen.ellipse((left, y0 + pad, left + knob, y1 - pad), (255, 255, 255))
    elif kind == "button":
        pen.rounded_rectangle(box, (y1 - y0) * rng.uniform(0.15, 0.5), fill, line)
        pen.text((x, y), rng.choice(["OK", "Save", "Next", "Send", "Login", "Buy"]), (255, 255, 255),
                 font(int((y1 - y0) * 0.55)), "mm")
    elif kind == "search box":
        pen.rounded_rectangle(box, (y1 - y0) * rng.uniform(0.2, 0.5), (250, 250, 250), (150, 150, 150), 2)
        q = (y1 - y0) * 0.2
        lens = (x0 + q, y - q * 1.3, x0 + 3.2 * q, y + q * 0.9)
        pen.ellipse(lens, None, (90, 90, 90), max(1, int(q * 0.4)))
        pen.line((x0 + 3 * q, y + q * 0.7, x0 + 4 * q, y + q * 1.6), (90, 90, 90), max(1, int(q * 0.5)))
        pen.text((x0 + 5 * q, y), "Search", (150, 150, 150), font(max(8, int((y1 - y0) * 0.45))), "lm")
    elif kind == "back arrow":
        t = max(2, int(r * 0.25))
        pen.line([(x + r * 0.9, y), (x - r * 0.8, y)], (70, 70, 70), t)
        pen.line([(x - r * 0.1, y - r * 0.8), (x - r * 0.85, y), (x - r * 0.1, y + r * 0.8)], (70, 70, 70), t)


def choose(rng, count):
    """`count` different pairs of colour and kind, many of them sharing one of the two."""
    coloured = [*SHAPES] * 3 + [*LETTERS] + ["switch", "button"] * 3
    pairs = []
    while len(pairs) < count:
        dice = rng.random()
        kind, colour = rng.choice(coloured), rng.choice(COLOUR_NAMES)
        if pairs and dice < 0.25:
            kind = rng.choice(pairs)[1]
        elif pairs and dice < 0.5:
            colour = rng.choice(pairs)[0]
        if (colour, kind) not in pairs:
            pairs.append((colour, kind))
    return pairs


def extent(kind, side):
    """Width and height of an object in units of the screen's height."""
    if kind == "button":
        return side * 2.2, side * 0.8
    if kind == "switch":
        return side * 1.4, side * 0.75
    return side, side


def plan(rng, aspect, easy, new_style):
    """The objects of a screen, boxes in 0...1; `aspect` is width over height."""
    count = rng.randint(3, 6) if easy else rng.randint(7, 12)
    things = []
    top, bottom = 0.05, 0.97

    def place(colour, kind, x, y, wide, high):
        box = [x - wide / aspect / 2, y - high / 2, x + wide / aspect / 2, y + high / 2]
        if box[0] < 0.015 or box[2] > 0.985 or box[1] < top or box[3] > bottom:
            return False
        gap = 0.008
        for other in things:
            a = other["box"]
            apart = box[0] >= a[2] + gap / aspect or a[0] >= box[2] + gap / aspect
            if not apart and box[1] < a[3] + gap and a[1] < box[3] + gap:
                return False
        things.append({"colour": colour, "kind": kind, "box": [round(part, 5) for part in box]})
        return True

    if rng.random() < 0.35:
        side = rng.uniform(0.035, 0.05)
        if rng.random() < 0.5:
            x, y = 0.5 + rng.uniform(-0.03, 0.03), rng.uniform(0.085, 0.13)
            place(None, "search box", x, y, aspect * rng.uniform(0.6, 0.85), side)
        else:
            place(None, "back arrow", rng.uniform(0.08, 0.14), rng.uniform(0.08, 0.11), side, side)
    layout = rng.choice(["free", "free", "grid", "list"])
    columns, rows = rng.randint(3, 4), rng.randint(5, 8)
    cells = [(column, row) for column in range(columns) for row in range(rows)]
    rng.shuffle(cells)
    common = rng.uniform(0.058, 0.084) * (1.25 if easy else 1)
    slots = list(range(12))
    rng.shuffle(slots)
    for index, (colour, kind) in enumerate(choose(rng, count)):
        for _ in range(25):
            side = common * rng.uniform(0.88, 1.16)
            wide, high = extent(kind, side)
            x, y = rng.uniform(0.05, 0.95), rng.uniform(0.08, 0.95)
            if layout == "grid" and cells:
                column, row = cells.pop()
                x = (column + 0.5 + (0.5 * (row % 2) - 0.25 if new_style else 0)) / columns
                y = 0.14 + (row + 0.5) / rows * 0.82
            elif layout == "list" and slots and _ < 3:
                y = 0.15 + (slots[index % 12] + 0.5) / 12 * 0.8
                x = rng.choice([0.1, 0.14, 0.85, 0.5]) + rng.uniform(-0.02, 0.02)
            if place(colour, kind, x, y, wide, high):
                break
    return things, layout


def background(rng, width, height, new_style):
    dark = rng.random() < 0.25
    def tone():
        low, high = (10, 60) if dark else (205, 255)
        base = rng.uniform(low, high)
        return [min(255, max(0, base + rng.uniform(-14, 14))) for _ in range(3)]
    first, second = tone(), tone()
    if rng.random() < 0.5:
        second = first
    ramp = numpy.linspace(0, 1, height)[:, None]
    rows = numpy.array(first) * (1 - ramp) + numpy.array(second) * ramp
    if not new_style and rng.random() < 0.15:
        rows = rows + rng.uniform(3, 9) * numpy.sin(ramp * rng.uniform(4, 20))
    if new_style:
        rows = rows + (8 * numpy.sign(numpy.sin(numpy.arange(height) / height * rng.uniform(60, 160))))[:, None]
    picture = numpy.broadcast_to(rows[:, None, :], (height, width, 3)).clip(0, 255).astype("uint8")
    picture = numpy.ascontiguousarray(picture)
    if not new_style and rng.random() < 0.15:  # a wallpaper of soft blots
        blots = numpy.random.default_rng(rng.getrandbits(32)).integers(-14, 15, (8, 5, 3)) + 128
        soft = Image.fromarray(blots.astype("uint8")).resize((width, height), Image.BICUBIC)
        picture = (picture.astype("int16") + numpy.asarray(soft) - 128).clip(0, 255).astype("uint8")
    return Image.fromarray(picture), dark


def planned(seed, width, height, easy=False, new_style=False):
    """The objects and the layout of the screen that `draw` paints."""
    return plan(random.Random(f"plan {seed}"), width / height, easy, new_style)


def draw(seed, width, height, easy=False, new_style=False):
    """The screen of a seed, painted at width x height: (picture, objects)."""
    rng = random.Random(seed)
    picture, dark = background(rng, width, height, new_style)
    pen = ImageDraw.Draw(picture)
    ink = (225, 225, 225) if dark else (60, 60, 60)
    faint = (85, 85, 90) if dark else (196, 196, 202)
    small = font(max(7, int(height * 0.016)))
    pen.text((width * 0.05, height * 0.018), f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}", ink, small, "lm")
    pen.rectangle((width * 0.88, height * 0.012, width * 0.95, height * 0.024), None, ink)
    pen.rectangle((width * 0.88, height * 0.012, width * (0.88 + 0.07 * rng.random()), height * 0.024), ink)
    things, layout = planned(seed, width, height, easy, new_style)
    if not easy and rng.random() < 0.15:  # a dialog's or a sheet's panel
        tone = tuple(rng.randint(40, 75) if dark else rng.randint(235, 255) for _ in range(3))
        top, low = rng.uniform(0.15, 0.45), rng.uniform(0.6, 0.96)
        panel = (width * rng.uniform(0.02, 0.1), height * top, width * rng.uniform(0.9, 0.98), height * low)
        pen.rounded_rectangle(panel, width * rng.uniform(0.02, 0.06), tone, faint, max(1, width // 250))
    if not easy:
        for _ in range(rng.randint(0, 8)):  # lines of something like text, and cards
            x, y = rng.uniform(0.05, 0.7), rng.uniform(0.06, 0.96)
            if rng.random() < 0.3:
                right, low = (x + rng.uniform(0.1, 0.4)) * width, (y + rng.uniform(0.03, 0.1)) * height
                card = (x * width, y * height, right, low)
                pen.rounded_rectangle(card, width * 0.02, None, faint, max(1, width // 200))
            else:
                words = " ".join(rng.choice(NEW_NOISE if new_style else NOISE) for _ in range(rng.randint(1, 3)))
                colour = rng.choice([ink, faint])
                pen.text((x * width, y * height), words, colour, font(max(7, int(height * rng.uniform(0.012, 0.022)))))
    if layout == "list":
        for row in range(13):
            y = (0.15 + row / 12 * 0.8) * height
            pen.line((0.04 * width, y, 0.96 * width, y), faint, max(1, width // 300))
    for thing in things:
        x0, y0, x1, y1 = thing["box"]
        box = (x0 * width, y0 * height, x1 * width, y1 * height)
        if not easy and thing["colour"] and rng.random() < 0.15:  # a caption under the icon
            caption = rng.choice(NEW_NOISE if new_style else CAPTIONS)
            pen.text((box[0], box[3]), caption, ink, font(max(7, int(height * 0.013))))
        if thing["kind"] in PLAIN and dark:
            pad = width * 0.012
            around = (box[0] - pad, box[1] - pad, box[2] + pad, box[3] + pad)
            pen.rounded_rectangle(around, width * 0.02, (235, 235, 235))
        paint(pen, thing, box, rng, new_style)
    return picture, things


def phone_of(seed):
    return random.Random(seed * 7 + 1).choice(PHONES)


def small_screen(seed, easy=False, true_size=False):
    """A screen at the model's own size, as uint8 [h, w, 3], and its objects."""
    phone = phone_of(seed)
    size = model_size(*phone)
    high = phone[1] if true_size else size[1] * 2
    wide = phone[0] if true_size else round(high * phone[0] / phone[1])
    picture, things = draw(seed, wide, high, easy)
    return numpy.asarray(picture.resize(size, Image.BICUBIC)), things


def shard(folder, index, size, easy):
    """Writes shard `index`: one array a picture size, and the objects."""
    groups = {}
    for offset in range(size):
        seed = index * size + offset
        pixels, things = small_screen(seed, easy, true_size=offset % 32 == 0)
        groups.setdefault(pixels.shape[0], ([], []))[0].append(pixels)
        groups[pixels.shape[0]][1].append(things)
    for high, (pictures, things) in groups.items():
        name = os.path.join(folder, f"{index:05d}-{high}")
        with open(name + ".json", "w") as file:
            json.dump(things, file)
        numpy.save(name + ".part.npy", numpy.stack(pictures))
        os.rename(name + ".part.npy", name + ".npy")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--easy", type=int, default=4, help="so many shards of few and larger objects come first")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--png", type=int, default=0)
    parser.add_argument("--first", type=int, default=HELD_OUT)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    if options.png:
        for seed in range(options.first, options.first + options.png):
            picture, things = draw(seed, *phone_of(seed), new_style=options.first >= UNSEEN)
            picture.save(os.path.join(options.folder, f"{seed}.png"))
            with open(os.path.join(options.folder, f"{seed}.json"), "w") as file:
                json.dump(things, file)
        return
    for index in range(options.start, options.shards):
        shard(options.folder, index, options.size, index < options.easy)


if __name__ == "__main__":
    main()
