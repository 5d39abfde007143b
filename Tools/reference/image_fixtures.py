#!/usr/bin/env python3
"""Makes Tests/MartletVisionTests/Fixtures: what the reference does with pictures.

    pip install torch==2.15.0 torchvision==0.29.2 transformers==5.23.0 pillow==13.0.0 numpy
    python3 Tools/reference/image_fixtures.py

Writes resize.json (sizes and SHA-256 of the resized bytes; the source pictures are drawn by `picture`, which the
tests draw identically), smart_resize.json, patches.json, and images/ with images.json (small files of every kind
and the SHA-256 of the RGB the reference loader gives: Pillow, exif_transpose, transformers' convert_to_rgb).
"""
import hashlib
import io
import json
import math
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy
import torch
from PIL import Image, ImageOps
from transformers.image_transforms import convert_to_rgb
from transformers.image_utils import SizeDict
from transformers.models.glm4v.image_processing_glm4v import Glm4vImageProcessor, smart_resize

OUT = Path(__file__).resolve().parents[2] / "Tests/MartletVisionTests/Fixtures"
MASK = (1 << 64) - 1


# --- Source pictures ---------------------------------------------------------------------------------------------

def noise(seed, count):
    """`count` bytes: the little-endian words of splitmix64 from `seed`."""
    words = (count + 7) // 8
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.arange(1, words + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    return z.astype("<u8").view(numpy.uint8)[:count]


def picture(kind, seed, width, height):
    """[height, width, 3]: noise; black and white noise (the worst overshoot); or the ramp of MODEL.md 7.2."""
    if kind == "ramp":
        y, x, c = numpy.mgrid[0:height, 0:width, 0:3]
        return ((7 * x + 13 * y + 29 * c + (x * y) % 11) % 256).astype(numpy.uint8)
    flat = noise(seed, width * height * 3)
    if kind == "edges":
        flat = (flat >> 7) * numpy.uint8(255)
    return flat.reshape(height, width, 3)


def sha(array):
    return hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()


# --- Resize ------------------------------------------------------------------------------------------------------

def resize_cases():
    rng = random.Random(20240823)
    cases = [(1080, 2400, 9633792, "noise"), (1440, 3200, 9633792, "edges"), (1080, 2400, 5000000, "edges"),
             (100, 150, 9633792, "ramp"), (112, 56, 9633792, "ramp"), (336, 336, 9633792, "noise"),
             (14, 14, 9633792, "ramp"), (1, 150, 9633792, "noise"), (1, 1, 9633792, "noise"),
             (2000, 10, 9633792, "edges"), (28, 5600, 9633792, "edges"), (1179, 600, 9633792, "noise")]
    while len(cases) < 200:
        side = lambda: int(math.exp(rng.uniform(math.log(3), math.log(520))))
        width, height = side(), side()
        longest = rng.choice([9633792, 9633792, rng.randrange(12544, 400000)])
        try:
            smart_resize(2, height, width, min_pixels=12544, max_pixels=longest)
        except ValueError:
            continue
        cases.append((width, height, longest, rng.choice(["noise", "edges", "ramp"])))
    return cases


def write_resize(processor):
    rows = []
    for seed, (width, height, longest, kind) in enumerate(resize_cases()):
        image = torch.from_numpy(picture(kind, seed, width, height).copy()).permute(2, 0, 1)
        assert image.dtype == torch.uint8
        resized = processor.resize(
            image.contiguous().unsqueeze(0), size=SizeDict(shortest_edge=12544, longest_edge=longest),
            resample=3, factor=28, temporal_factor=2)[0].permute(1, 2, 0).numpy()
        rows.append([kind, seed, width, height, longest, resized.shape[1], resized.shape[0], sha(resized)])
    write_rows("resize.json", rows)


def write_smart_resize():
    """[width, height, shortest, longest, new width, new height], or [..., null, null] where the reference refuses."""
    rng = random.Random(7)
    cases = [(w, h, 12544, 9633792) for w, h in [
        (1080, 2400), (1440, 3200), (1080, 2340), (1200, 2400), (1179, 2556), (1284, 2778), (1080, 1920), (2400, 1080),
        (6000, 4000), (336, 336), (100, 100), (14, 14), (30, 20), (150, 1), (201, 1), (1, 201), (5601, 28), (5600, 28),
        (27, 5400), (27, 5401), (42, 70), (98, 126), (1, 1), (28, 28)]]
    cases += [(1080, 2400, 12544, 5000000), (1440, 3200, 12544, 5000000)]
    while len(cases) < 600:
        side = lambda: int(math.exp(rng.uniform(0, math.log(9000))))
        shortest = rng.choice([12544, 12544, rng.randrange(1000, 100000)])
        cases.append((side(), side(), shortest, rng.choice([9633792, 11760000, rng.randrange(shortest, 12000000)])))
    rows = []
    for width, height, shortest, longest in cases:
        try:
            h, w = smart_resize(2, height, width, min_pixels=shortest, max_pixels=longest)
        except ValueError:
            h, w = None, None
        rows.append([width, height, shortest, longest, w, h])
    write_rows("smart_resize.json", rows)


def write_patches(processor):
    """Sums of pixel_values for the pictures of MODEL.md 7.2: what normalising the resized bytes must give."""
    rows = []
    for width, height in [(100, 150), (112, 56)]:
        image = torch.from_numpy(picture("ramp", 0, width, height).copy()).permute(2, 0, 1)
        out = processor(images=[image], return_tensors="pt")
        values = out["pixel_values"].double()
        rows.append([width, height, *out["image_grid_thw"][0].tolist(), values.sum().item(), values.abs().sum().item()])
    write_rows("patches.json", rows)


def write_rows(name, rows):
    (OUT / name).write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


# --- PNG files of every kind -------------------------------------------------------------------------------------

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def packed_rows(samples, depth, step, rng):
    """Filtered scanlines of samples [rows, columns, channels]; every filter type in turn."""
    out, previous = b"", None
    for line in samples:
        flat = line.reshape(-1)
        if depth == 16:
            row = flat.astype(">u2").tobytes()
        elif depth == 8:
            row = flat.astype(numpy.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in flat)
            bits += "0" * (-len(bits) % 8)
            row = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        previous = previous or bytes(len(row))
        kind = rng.randrange(5)
        out += bytes([kind]) + filtered(kind, row, previous, step)
        previous = row
    return out


def filtered(kind, row, above, step):
    result = bytearray()
    for i, value in enumerate(row):
        a = row[i - step] if i >= step else 0
        b = above[i]
        c = above[i - step] if i >= step else 0
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        result.append((value - [0, a, b, (a + b) // 2, paeth][kind]) & 255)
    return bytes(result)


def png(samples, depth, color, interlaced=False, before=b"", after=b"", pieces=1):
    height, width, channels = samples.shape
    assert channels == CHANNELS[color]
    rng, step = random.Random(1), max(1, channels * depth // 8)
    if interlaced:
        raw = b"".join(packed_rows(samples[y::dy, x::dx], depth, step, rng) for x, y, dx, dy in ADAM7
                       if samples[y::dy, x::dx].size)
    else:
        raw = packed_rows(samples, depth, step, rng)
    data = zlib.compress(raw, 9)
    cut = max(1, -(-len(data) // pieces))
    body = b"".join(chunk(b"IDAT", data[i:i + cut]) for i in range(0, len(data), cut))
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + body + after + chunk(b"IEND", b"")


def samples(depth, channels, width=29, height=19, seed=3):
    top = (1 << depth) - 1
    y, x, c = numpy.mgrid[0:height, 0:width, 0:channels]
    smooth = (x * 7 + y * 11 + c * 90) * top // 512
    rough = noise(seed, width * height * channels * 2).view("<u2").reshape(height, width, channels)
    return numpy.where((x // 6 + y // 5) % 2 == 0, smooth, rough).astype(numpy.int64) & top


def exif(orientation):
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def png_files():
    palette = chunk(b"PLTE", noise(5, 3 * 256).tobytes())
    small_palette = lambda n: chunk(b"PLTE", noise(6, 3 * n).tobytes())
    trns = lambda *values: chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))
    files = {}
    for color, name, depths in [(0, "grey", [1, 2, 4, 8, 16]), (2, "rgb", [8, 16]), (4, "grey-alpha", [8, 16]),
                                (6, "rgba", [8, 16])]:
        for depth in depths:
            for way in ["", "-interlaced"]:
                files[f"{name}{depth}{way}.png"] = png(samples(depth, CHANNELS[color]), depth, color, bool(way))
    for depth in [1, 2, 4, 8]:
        table = small_palette(1 << depth)
        alpha = chunk(b"tRNS", noise(9, max(1, (1 << depth) * 3 // 4)).tobytes())
        for way in ["", "-interlaced"]:
            files[f"palette{depth}{way}.png"] = png(samples(depth, 1), depth, 3, bool(way), table)
        files[f"palette{depth}-alpha.png"] = png(samples(depth, 1), depth, 3, False, table + alpha)
    files["palette-out-of-range.png"] = png(samples(4, 1), 4, 3, False, small_palette(9))
    grey, rgb = samples(8, 1), samples(8, 3)
    files["grey8-transparent.png"] = png(grey, 8, 0, False, trns(int(grey[0, 3, 0])))
    files["rgb8-transparent.png"] = png(rgb, 8, 2, False, trns(*map(int, rgb[0, 3])))
    files["rgb8-with-palette.png"] = png(rgb, 8, 2, False, palette)
    files["rgb8-40-data-chunks.png"] = png(rgb, 8, 2, pieces=40)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"tEXt", b"Comment\0" + b"x" * 50)
    files["rgba8-gamma-text.png"] = png(samples(8, 4), 8, 6, False, gamma)
    files["rgb8-exif6.png"] = png(rgb, 8, 2, False, chunk(b"eXIf", exif(6)))
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 29, 19, 0, 0, 1, 10, 0, 0))
    files["rgb8-animated.png"] = png(rgb, 8, 2, False, control + frame)
    files["rgb8-1x1.png"] = png(samples(8, 3, 1, 1), 8, 2)
    files["rgba8-interlaced-3x2.png"] = png(samples(8, 4, 3, 2), 8, 6, True)
    return files


def deviations():
    """Where Pillow loses the picture, we follow the PNG specification: name -> (file, expected RGB)."""
    white = 255
    result = {}
    for way in ["", "-interlaced"]:
        grey = samples(16, 1)
        result[f"grey16{way}.png"] = (png(grey, 16, 0, bool(way)), numpy.repeat(grey >> 8, 3, axis=2))
    for depth in [1, 2, 4]:
        grey = samples(depth, 1)
        key = int(grey[0, 3, 0])
        rgb = numpy.where(grey == key, white, grey * 255 // ((1 << depth) - 1))
        file = png(grey, depth, 0, False, chunk(b"tRNS", struct.pack(">H", key)))
        result[f"grey{depth}-transparent.png"] = (file, numpy.repeat(rgb, 3, axis=2))
    deep = samples(16, 3)
    key = deep[0, 3]
    match = (deep == key).all(axis=2, keepdims=True)
    file = png(deep, 16, 2, False, chunk(b"tRNS", struct.pack(">3H", *map(int, key))))
    result["rgb16-transparent.png"] = (file, numpy.where(match, white, deep >> 8))
    grey = samples(16, 1)
    key = int(grey[0, 3, 0])
    file = png(grey, 16, 0, False, chunk(b"tRNS", struct.pack(">H", key)))
    result["grey16-transparent.png"] = (file, numpy.repeat(numpy.where(grey == key, white, grey >> 8), 3, axis=2))
    return result


# --- JPEG and WebP files -----------------------------------------------------------------------------------------

def scene(width=61, height=43):
    y, x = numpy.mgrid[0:height, 0:width]
    image = numpy.stack([x * 4 % 256, y * 5 % 256, (x + y) * 3 % 256], axis=2).astype(numpy.uint8)
    image[8:20, 10:40] = [250, 20, 30]
    image[12:16, 14:36:2] = [0, 0, 0]
    image[25:40, 30:58] = noise(4, 15 * 28 * 3).reshape(15, 28, 3)
    return Image.fromarray(image)


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def orientation_exif(value):
    data = Image.Exif()
    data[0x0112] = value
    return data.tobytes()


def without_adobe(data):
    at = data.index(b"\xff\xee\x00\x0eAdobe")
    return data[:at] + data[at + 16:]


def as_ycck(data):
    at = data.index(b"\xff\xee\x00\x0eAdobe") + 15
    return data[:at] + b"\x02" + data[at + 1:]


def jpeg_files():
    image, files = scene(), {}
    for name, sampling in [("444", 0), ("422", 1), ("420", 2)]:
        files[f"ycc-{name}.jpg"] = saved(image, "JPEG", quality=88, subsampling=sampling)
        files[f"ycc-{name}-progressive.jpg"] = saved(
            image, "JPEG", quality=80, subsampling=sampling, progressive=True)
    files["rgb.jpg"] = saved(image, "JPEG", quality=88, keep_rgb=True)
    files["restart.jpg"] = saved(image, "JPEG", quality=60, restart_marker_blocks=3)
    files["grey.jpg"] = saved(image.convert("L"), "JPEG", quality=88)
    files["grey-progressive.jpg"] = saved(image.convert("L"), "JPEG", quality=88, progressive=True)
    files["1x1.jpg"] = saved(image.crop((0, 0, 1, 1)), "JPEG")
    ink = Image.merge("CMYK", [*image.split(), image.convert("L").point(lambda v: v // 2)])
    cmyk = saved(ink, "JPEG", quality=90)
    files["cmyk.jpg"] = cmyk
    files["cmyk-without-adobe.jpg"] = without_adobe(cmyk)
    files["ycck.jpg"] = as_ycck(cmyk)
    files["cmyk-progressive.jpg"] = saved(ink, "JPEG", quality=90, progressive=True)
    for value in range(1, 9):
        files[f"orientation-{value}.jpg"] = saved(image, "JPEG", quality=70, exif=orientation_exif(value))
    return files


def webp_files():
    image, files = scene(), {}
    alpha = image.copy()
    alpha.putalpha(Image.fromarray((numpy.mgrid[0:43, 0:61][1] * 5 % 256).astype(numpy.uint8)))
    files["lossy.webp"] = saved(image, "WEBP", quality=75)
    files["lossless.webp"] = saved(image, "WEBP", lossless=True)
    files["lossy-alpha.webp"] = saved(alpha, "WEBP", quality=75)
    files["lossless-alpha.webp"] = saved(alpha, "WEBP", lossless=True)
    files["orientation-6.webp"] = saved(image, "WEBP", quality=75, exif=orientation_exif(6))
    files["1x1.webp"] = saved(image.crop((0, 0, 1, 1)), "WEBP", lossless=True)
    return files


def reference(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        return convert_to_rgb(image, return_numpy=True)


def write_images():
    folder = OUT / "images"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    rows, special = [], deviations()
    for name, data in {**png_files(), **jpeg_files(), **webp_files()}.items():
        if name in special:
            continue
        rgb = reference(data)
        rows.append([name, "pillow", rgb.shape[1], rgb.shape[0], sha(rgb.astype(numpy.uint8))])
        (folder / name).write_bytes(data)
    for name, (data, rgb) in special.items():
        rows.append([name, "png-specification", rgb.shape[1], rgb.shape[0], sha(rgb.astype(numpy.uint8))])
        (folder / name).write_bytes(data)
    frames = [scene(), scene().rotate(90, expand=False)]
    (folder / "animated.webp").write_bytes(
        saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=30))
    write_rows("images.json", rows)


if __name__ == "__main__":
    print("torch", torch.__version__, "cpu capability", torch.backends.cpu.get_cpu_capability())
    reference_processor = Glm4vImageProcessor(size={"shortest_edge": 12544, "longest_edge": 9633792})
    write_resize(reference_processor)
    write_smart_resize()
    write_patches(reference_processor)
    write_images()
    print("wrote", sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()), "bytes under", OUT.name)
