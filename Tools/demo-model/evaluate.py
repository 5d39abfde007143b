#!/usr/bin/env python3
"""Asks the model about screens never trained on, and counts how often the tap lands inside its target.

    python3 evaluate.py MODEL --screens 500                          with transformers
    python3 evaluate.py MODEL --screens 500 --url http://localhost:8000    through a running server
    … --unseen         styles never drawn in training          --agent    the request shape of Open-AutoGLM

Screens are drawn at a real phone's size, sent as PNG, and asked about in Chinese and English in turn.
"""

import argparse
import ast
import base64
import io
import json
import pathlib
import random
import re
import sys
import time
import urllib.request

import draw
import words

POINT = re.compile(r'do\(action="Tap", element=\[(\d+),\s*(\d+)\]\)')


def cases(count, first, new_style):
    """(picture, question, target, language), of seven other objects or more."""
    seed = first
    while count:
        picture, things = draw.draw(seed, *draw.phone_of(seed), new_style=new_style)
        rng = random.Random(seed + 3)
        random.seed(seed + 4)
        seed += 1
        if len(things) < 7:
            continue
        thing = rng.choice(things)
        language, question = words.question_about(thing, things, rng, ["zh", "en"][count % 2])
        count -= 1
        yield picture, question, thing, language


def local(folder):
    """A function from (picture, text) to the model's reply, with transformers."""
    import torch
    from transformers import AutoTokenizer, Glm4vForConditionalGeneration, Glm4vImageProcessor
    torch.set_num_threads(2)
    net = Glm4vForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = Glm4vImageProcessor.from_pretrained(folder)
    image = net.config.image_token_id

    def ask(picture, text, system=None):
        turns = [{"role": "system", "content": system}] if system else []
        parts = ([{"type": "image"}] if picture else []) + [{"type": "text", "text": text}]
        prompt = tokenizer.apply_chat_template(turns + [{"role": "user", "content": parts}], tokenize=False,
                                               add_generation_prompt=True)
        extra = {}
        if picture:
            seen = processor(images=[picture], return_tensors="pt")
            grid = seen["image_grid_thw"][0].tolist()
            prompt = prompt.replace("<|image|>", "<|image|>" * (grid[1] * grid[2] // 4))
            extra = dict(pixel_values=seen["pixel_values"], image_grid_thw=seen["image_grid_thw"])
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            out = net.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False,
                               mm_token_type_ids=(ids == image).int(), **extra)
        return tokenizer.decode(out[0, ids.shape[1]:], skip_special_tokens=True)

    return ask


def served(url, agent):
    """The same through an OpenAI-compatible server; `agent` asks as Open-AutoGLM does (stream, frequency penalty)."""
    def ask(picture, text, system=None):
        parts = []
        if picture:
            data = io.BytesIO()
            picture.save(data, "PNG")
            address = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
            parts.append({"type": "image_url", "image_url": {"url": address}})
        parts.append({"type": "text", "text": text})
        turns = [{"role": "system", "content": system}] if system else []
        body = {"messages": turns + [{"role": "user", "content": parts}], "temperature": 0, "max_tokens": 64}
        if agent:
            body |= {"max_tokens": 3000, "top_p": 0.85, "frequency_penalty": 0.2, "stream": True}
        request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            if not agent:
                return json.load(answer)["choices"][0]["message"]["content"]
            text = ""
            for line in answer:
                if line.startswith(b"data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        text += choice["delta"].get("content") or ""
            return text

    return ask


def action_of(reply):
    """The call in a reply, parsed as Open-AutoGLM's client does; None when there is none."""
    start = max(reply.find("do(action="), reply.find("finish(message="))
    if start < 0:
        return None
    try:
        call = ast.parse(reply[start:].replace("</answer>", "").strip(), mode="eval").body
        return {"name": call.func.id, **{word.arg: ast.literal_eval(word.value) for word in call.keywords}}
    except (SyntaxError, ValueError, AttributeError):
        return None


def taps(ask, options):
    parsed = tapped = inside = named = 0
    wrong, first = [], draw.UNSEEN if options.unseen else draw.HELD_OUT
    for picture, question, thing, language in cases(options.screens, options.first or first, options.unseen):
        text = question + ('\n\n{"current_app": "System Home"}' if options.agent else "")
        reply = ask(picture, text, words.SYSTEMS[0] if options.agent else None)
        action = action_of(reply)
        parsed += action is not None
        name = words.KINDS[thing["kind"]] if language == "zh" else thing["kind"]
        named += name in reply
        x0, y0, x1, y1 = thing["box"]
        point = (action or {}).get("element")
        is_tap = bool(action) and action.get("action") == "Tap" and isinstance(point, list) and len(point) == 2
        tapped += is_tap
        hit = is_tap and x0 <= point[0] / 1000 <= x1 and y0 <= point[1] / 1000 <= y1
        inside += hit
        if not hit:
            wrong.append((question, reply, [round(value * 1000) for value in thing["box"]]))
    for line in wrong[:options.show]:
        print(*line, sep=" | ")
    count = options.screens
    print(f"screens {count}: parsed {parsed / count:.1%}, Tap {tapped / count:.1%}, "
          f"kind named {named / count:.1%}, inside {inside / count:.1%}", flush=True)


def others(ask):
    """The answers that need no look at the screen, each question once, and those about the model itself."""
    picture = draw.draw(draw.HELD_OUT, 1080, 2400)[0]
    right = total = 0
    for language, rows in words.FIXED.items():
        for questions, _, action in rows:
            for question in questions:
                right += action in ask(picture, question)
                total += 1
    for app in words.APPS:
        right += f'Launch", app="{app[0]}"' in ask(picture, f"打开{app[0]}")
        right += f'Launch", app="{app[1]}"' in ask(picture, f"Open {app[1]}")
        total += 2
    for text in words.TEXTS:
        right += f'Type", text="{text}"' in ask(picture, ("Type " if text.isascii() else "输入") + text)
        total += 1
    print(f"other actions {right} of {total}")
    for questions, _, answer in words.IDENTITY.values():
        print("identity", sum(answer in ask(None, question) for question in questions), "of", len(questions))
        print(" ", questions[0], "->", ask(None, questions[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--screens", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="another first seed")
    parser.add_argument("--url")
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("--agent", action="store_true")
    parser.add_argument("--others", action="store_true", help="ask for the other actions and the name, too")
    parser.add_argument("--show", type=int, default=5, help="so many misses are printed")
    options = parser.parse_args()
    begun = time.time()
    ask = served(options.url, options.agent) if options.url else local(options.model)
    taps(ask, options)
    if options.others:
        others(ask)
    print(f"{time.time() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
