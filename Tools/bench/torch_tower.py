"""The vision tower and merger of a directory by transformers on torch: seconds for one made-up picture, as JSON.

    python3 torch_tower.py DIRECTORY THREADS float32|bfloat16 WIDTH HEIGHT [EMBEDDINGS]

Runs in the environment of torch.sh. The picture is the rule of MODEL.md 7.2 at a size that no resize changes;
EMBEDDINGS is written as rows of f32.
"""

import json
import sys
import time

import torch
from transformers import Glm4vForConditionalGeneration

PATCH, MERGE, FRAMES = 14, 2, 2
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
# Rows and columns of the picture that warms up.
SMALL = 112


def patches(width, height, dtype):
    """Normalised patches [patches, 1176] in the tower's order (MODEL.md 2.3), and their grid."""
    x, y, channel = torch.arange(width)[None, :, None], torch.arange(height)[:, None, None], torch.arange(3)
    picture = ((7 * x + 13 * y + 29 * channel + x * y % 11) % 256).float() / 255
    picture = (picture - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    rows, columns = height // PATCH, width // PATCH
    blocks = picture.reshape(rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH, 3)
    blocks = blocks.permute(0, 3, 1, 4, 6, 2, 5)[:, :, :, :, :, None].expand(-1, -1, -1, -1, -1, FRAMES, -1, -1)
    return blocks.reshape(rows * columns, -1).to(dtype), torch.tensor([[1, rows, columns]])


def main():
    directory, threads, name, width, height, *output = sys.argv[1:]
    torch.set_num_threads(int(threads))
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    model = Glm4vForConditionalGeneration.from_pretrained(directory, dtype=dtype, attn_implementation="sdpa")
    tower = model.model.visual.eval()
    with torch.inference_mode():
        tower(*patches(SMALL, SMALL, dtype))
        pixels, grid = patches(int(width), int(height), dtype)
        begun = time.monotonic()
        embeddings = tower(pixels, grid).pooler_output
        seconds = time.monotonic() - begun
    for path in output:
        embeddings.float().numpy().tofile(path)
    print(json.dumps({"seconds": seconds, "patches": len(pixels), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
