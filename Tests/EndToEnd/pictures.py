"""Pictures for requests, made here, as data URLs."""

import base64
import io

from PIL import Image


def picture(width, height, phase=0):
    """Three ramps and a product: no two pictures of different size or phase are alike."""
    image = Image.new("RGB", (width, height))
    image.putdata([
        ((7 * x + 13 * y + phase) % 256, (x * y + 29 + phase) % 256, (3 * x + 5 * y) % 256)
        for y in range(height) for x in range(width)
    ])
    return image


def screenshot(width, height):
    """A large picture, made fast: bars like those of a list of applications."""
    image = Image.new("RGB", (width, height), (250, 250, 250))
    for index, top in enumerate(range(0, height, 160)):
        image.paste((20 + 11 * index % 200, 90, 200 - 7 * index % 180), (24, top + 20, width - 24, top + 140))
    return image


def data_url(image, format="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, format, **({"quality": 90} if format != "PNG" else {}))
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def image_part(image, format="PNG"):
    return {"type": "image_url", "image_url": {"url": data_url(image, format)}}


def text_part(text):
    return {"type": "text", "text": text}


def image_tokens(width, height, longest=9633792, shortest=12544):
    """MODEL.md 3.2, for one still: tokens between the begin and end of an image."""
    import math

    factor = 28
    if height < factor or width < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    h, w = round(height / factor) * factor, round(width / factor) * factor
    if 2 * h * w > longest:
        beta = math.sqrt(2 * height * width / longest)
        h = max(factor, math.floor(height / beta / factor) * factor)
        w = max(factor, math.floor(width / beta / factor) * factor)
    elif 2 * h * w < shortest:
        beta = math.sqrt(shortest / (2 * height * width))
        h, w = math.ceil(height * beta / factor) * factor, math.ceil(width * beta / factor) * factor
    return (h // factor) * (w // factor)
