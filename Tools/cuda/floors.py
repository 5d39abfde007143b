#!/usr/bin/env python3
"""What a step of the 9B model has to move and to compute on a GPU, kernel by kernel, beside what the kernels do.

    floors.py [--format bf16|q8_0|q4_0|q8_0-int8|q4_0-int8] [--rows N] [--context N] [--prompt N] [--patches N]
              [--memory TB/s] [--tensor TFLOP/s]

Counted from the shapes of MODEL.md and the tiles of Sources/CCUDA/kernels; nothing is measured. Floor: bytes that
cannot stay on the chip (weights, keys and values, once each) and FLOP of the formulas. Moved: all that a kernel asks of
global memory; what of it exceeds the floor lies in the level-2 cache. Done: FLOP of the tensor cores, rows that only
fill a tile among them. Formats in -int8 multiply many rows in 8 bits (`--activations int8`, or fp8).
"""

import argparse
import math

LAYERS, HIDDEN, INNER, VOCABULARY = 40, 4096, 13696, 151552
QUERY_HEADS, KV_HEADS, HEAD, PAIRS = 32, 2, 128, 32
FUSED = (QUERY_HEADS + 2 * KV_HEADS) * HEAD
QUERY = QUERY_HEADS * HEAD
WEIGHT_BYTES = {"bf16": 2, "q8_0": 34 / 32, "q4_0": 18 / 32}
# Shares of the memory's copy bandwidth that a decode of one row has to reach.
WANTED = {"bf16": 0.85, "q8_0": 0.75, "q4_0": 0.60}
# Of an H200; splits follow it.
MULTIPROCESSORS = 132
# Rows and outputs of a block of `multiply`; rows from which cuBLASLt takes over.
FEW, MANY = (8, 16), (32, 32)
LIBRARY_ROWS = {"bf16": 16, "q8_0": 64, "q4_0": 64}
# The same weights, where many rows meet them in 8 bits.
for table in (WEIGHT_BYTES, WANTED, LIBRARY_ROWS):
    table.update({f"{name}-int8": table[name] for name in ("q8_0", "q4_0")})


class Kernel:
    """So many launches of one kernel in a step; bytes and FLOP of all of them."""

    def __init__(self, name, launches, floor=0, moved=0, flop=0, done=None):
        self.name, self.launches = name, launches
        self.floor, self.moved, self.flop = launches * floor, launches * moved, launches * flop
        self.done = launches * (flop if done is None else done)


def product(name, launches, outputs, columns, rows, weights):
    """y = x W^T by the backend's choice of kernel for so many rows; y is f32."""
    stored = outputs * columns * WEIGHT_BYTES[weights]
    flop, result = 2 * outputs * columns * rows, 4 * outputs * rows
    if rows > LIBRARY_ROWS[weights] and weights.endswith("-int8"):
        # Read twice and rounded, weights and rows, then multiplied; the sums are scaled into the result.
        dense, sums = outputs * columns, 4 * outputs * rows
        rounded = (2 * 2 + 1 + 1) * columns * rows
        return Kernel(name, launches, stored, 2 * stored + 2 * dense + rounded + 2 * sums + result, flop)
    if rows > LIBRARY_ROWS[weights]:
        dense = 2 * outputs * columns
        unpacked = 0 if weights == "bf16" else stored + dense
        return Kernel(name, launches, stored, unpacked + dense + 2 * columns * rows + result, flop)
    tile_rows, tile_outputs = FEW if rows <= FEW[0] else MANY
    row_tiles, blocks = math.ceil(rows / tile_rows), math.ceil(outputs / tile_outputs)
    activations = 2 * columns * rows * blocks
    return Kernel(name, launches, stored, stored * row_tiles + activations + result, flop,
                  2 * outputs * columns * tile_rows * row_tiles)


def gated(rows, weights):
    """Gate, up and SiLU: one kernel for few rows."""
    both = product("gate, up and SiLU", LAYERS, 2 * INNER, HIDDEN, rows, weights)
    if rows <= FEW[0]:
        both.moved -= LAYERS * (4 * 2 - 2) * INNER * rows
        return [both]
    both.name = "gate and up"
    return [both, Kernel("silu_multiply", LAYERS, 0, 2 * 3 * INNER * rows, 12 * INNER * rows)]


def layer_kernels(rows, context, weights, prompt):
    """Of all layers; `context`: positions that a row attends to, of a prompt on average."""
    norm = 4 * HIDDEN * rows
    vector = 4 * HIDDEN
    cache = 2 * KV_HEADS * HEAD * 2
    turned = (QUERY_HEADS + KV_HEADS) * 2 * PAIRS
    kernels = [
        Kernel("add_branch", 2 * LAYERS, 2 * vector, 2 * vector + 6.5 * norm, 9 * HIDDEN * rows),
        product("q, k and v", LAYERS, FUSED, HIDDEN, rows, weights),
        Kernel("rotate_and_store", LAYERS, cache * rows,
               (2 * 2 * turned + 4 * 2 * PAIRS + 2 * cache) * rows, 3 * turned * rows),
        *attention(rows, context, prompt),
        product("o", LAYERS, HIDDEN, QUERY, rows, weights),
        *gated(rows, weights),
        product("down", LAYERS, HIDDEN, INNER, rows, weights),
    ]
    return kernels


def attention(rows, context, prompt):
    """A decode row's 16 heads of a group share what they read, and its positions are split over blocks whose partial
    sums `attention_combine` joins; a tile of a prompt has 128 queries: 8 positions of a group's 16 heads."""
    positions = 2 * KV_HEADS * HEAD * 2
    flop, result = 4 * QUERY * context * rows, 4 * QUERY * rows
    if prompt:
        return [Kernel("attention", LAYERS, positions * rows, positions * context * rows / 8 + result, flop)]
    splits = min(64, max(1, 2 * MULTIPROCESSORS // (rows * KV_HEADS)))
    partial = 4 * rows * KV_HEADS * splits * 16 * (HEAD + 2)
    return [
        Kernel("attention", LAYERS, positions * context * rows,
               positions * context * rows + result / 2 + partial, flop),
        Kernel("attention_combine", LAYERS, 0, partial + result / 2, 2 * partial / 4),
    ]


def step(rows, context, weights, prompt=False):
    """The kernels of a step; of a prompt only the last row has logits."""
    last = 1 if prompt else rows
    return [
        Kernel("embed", 1, HIDDEN * WEIGHT_BYTES[weights] * rows, (HIDDEN * WEIGHT_BYTES[weights] + 4 * HIDDEN) * rows),
        Kernel("rotary_table", 1, 0, (12 + 4 * 2 * PAIRS) * rows),
        Kernel("rms_norm of the first", 1, 4 * HIDDEN, 4 * HIDDEN + 10 * HIDDEN * rows),
        *layer_kernels(rows, context, weights, prompt),
        Kernel("rms_norm of the last", 1, 4 * HIDDEN, 14 * HIDDEN * last),
        product("head", 1, VOCABULARY, HIDDEN, last, weights),
        Kernel("copy_rows", 1, 0, 8 * HIDDEN * last),
        Kernel("sample", 1, 0, 3 * 4 * VOCABULARY * last),
    ]


def tower(patches):
    """The vision tower and merger over one picture, weights and operands in two bytes; additions in f32."""
    tokens, width, inner = patches // 4, 1536, 4096
    row, vector = 4 * width * patches, 4 * width
    return [
        Kernel("extract_patches", 1, 3 * 196 * patches, (3 * 196 + 2 * 1176) * patches),
        product("patch embedding", 1, width, 1176, patches, "bf16"),
        Kernel("add_positions", 1, 576 * vector, 18 * row, 40 * width * patches),
        Kernel("rms_norm", 2 * 24 + 2, vector, vector + 2.5 * row, 4 * width * patches),
        product("q, k and v", 24, 3 * width, width, patches, "bf16"),
        Kernel("rotate", 24, 0, 4 * 2 * width * patches, 6 * width * patches),
        Kernel("full_attention", 24, 0, 2 * 2 * width * patches * (1 + patches / 128), 4 * width * patches**2),
        product("projection", 24, width, width, patches, "bf16"),
        product("gate and up", 24, 2 * inner, width, patches, "bf16"),
        Kernel("silu_multiply", 24, 0, 6 * inner * patches, 12 * inner * patches),
        product("down", 24, width, inner, patches, "bf16"),
        Kernel("add", 48, 0, 3 * row, width * patches),
        product("downsample", 1, HIDDEN, 4 * width, tokens, "bf16"),
        product("merger's projection", 1, HIDDEN, HIDDEN, tokens, "bf16"),
        Kernel("layer_norm and gelu", 2, 4 * HIDDEN, 8 * HIDDEN * tokens, 30 * HIDDEN * tokens),
        product("merger's gate and up", 1, 2 * INNER, HIDDEN, tokens, "bf16"),
        Kernel("merger's silu_multiply", 1, 0, 6 * INNER * tokens, 12 * INNER * tokens),
        product("merger's down", 1, HIDDEN, INNER, tokens, "bf16"),
    ]


def scaled(value, units):
    for unit, size in units:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return "0" if value == 0 else f"{value:.3g}"


def size_of(value):
    return scaled(value, [("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)])


def flop_of(value):
    return scaled(value, [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1)]).rstrip()


def print_table(title, kernels):
    print(f"{title}\n\n| kernel | launches | floor | moved | FLOP | done |\n|---|---|---|---|---|---|")
    total = Kernel("**step**", 1)
    total.launches = 0
    for kernel in kernels:
        for field in ("launches", "floor", "moved", "flop", "done"):
            setattr(total, field, getattr(total, field) + getattr(kernel, field))
    for k in [*kernels, total]:
        print(f"| {k.name} | {k.launches} | {size_of(k.floor)} | {size_of(k.moved)} | {flop_of(k.flop)} | "
              f"{flop_of(k.done)} |")
    print()
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=WEIGHT_BYTES, default="bf16", help="of the weights")
    parser.add_argument("--rows", type=int, default=1, help="sequences that decode")
    parser.add_argument("--context", type=int, default=1024, help="positions of each")
    parser.add_argument("--prompt", type=int, default=4096, help="tokens of a prefill")
    parser.add_argument("--patches", type=int, default=13416, help="of a picture; 13416: 1080 x 2400 pixels")
    parser.add_argument("--memory", type=float, default=4.8, help="TB/s of the card")
    parser.add_argument("--tensor", type=float, default=990, help="TFLOP/s of its tensor cores")
    o = parser.parse_args()
    decode = print_table(f"Decode of {o.rows} rows at {o.context} positions, {o.format}:",
                         step(o.rows, o.context, o.format))
    floor = decode.floor / o.memory / 1e6
    print(f"At {o.memory} TB/s the floor takes {floor:.0f} us. {WANTED[o.format]:.0%} of it leaves "
          f"{floor / WANTED[o.format] - floor:.0f} us for starts and ends: "
          f"{(floor / WANTED[o.format] - floor) / decode.launches:.2f} us a launch.\n")
    prefill = step(o.prompt, o.prompt / 2, o.format, True)
    for title, kernels in [(f"Prefill of {o.prompt} tokens, {o.format}", prefill),
                           (f"A picture of {o.patches} patches, bf16", tower(o.patches))]:
        total = print_table(f"{title}:", kernels)
        print(f"At {o.tensor:.0f} TFLOP/s its FLOP take {total.flop / o.tensor / 1e9:.1f} ms; at {o.memory} TB/s all "
              f"that is moved would take {total.moved / o.memory / 1e9:.1f} ms; most of it is in the level-2 cache.\n")


if __name__ == "__main__":
    main()
