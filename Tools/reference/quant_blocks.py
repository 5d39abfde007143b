#!/usr/bin/env python3
"""Prints the table of Tests/MartletTensorTests/Files/QuantizedBlocksTests.swift: for each type, eight blocks of
bytes that a formula makes, decoded by the `gguf` package (PyPI), as the SHA-256 of the f32 values' bytes."""
import hashlib

import numpy as np
from gguf import GGMLQuantizationType, quants

# type: bytes of a block, places of its half-precision scales
LAYOUT = {
    "F16": (2, []), "BF16": (2, []), "Q4_0": (18, [0]), "Q4_1": (20, [0, 2]), "Q5_0": (22, [0]),
    "Q5_1": (24, [0, 2]), "Q8_0": (34, [0]), "Q4_K": (144, [0, 2]), "Q5_K": (176, [0, 2]), "Q6_K": (210, [208]),
}

for name, (size, scales) in LAYOUT.items():
    data = bytearray((i * 167 + 13 ^ i >> 3) & 0xFF for i in range(8 * size))
    if not scales:  # No infinities or NaNs: their bits are nobody's business.
        data[1::2] = bytes(b & 0xBF for b in data[1::2])
    for block in range(8):
        for number, place in enumerate(scales):
            data[block * size + place : block * size + place + 2] = (0x2E66 + 0x31 * block + 0x400 * number).to_bytes(2, "little")
    values = quants.dequantize(np.frombuffer(bytes(data), np.uint8), GGMLQuantizationType[name]).astype("<f4")
    print(f'("{name}", "{hashlib.sha256(values.tobytes()).hexdigest()}", {float(values[0])!r}, {float(values[-1])!r}),')
