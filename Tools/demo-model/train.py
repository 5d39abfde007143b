#!/usr/bin/env python3
"""Trains the demo model from nothing; goes on from its checkpoint when there is one. README.md has the commands.

    python3 train.py PICTURES WORK --steps 6000 --cooldown 600 --warm-up 1500
"""

import argparse
import csv
import glob
import json
import os
import random
import time

import numpy
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import model
import vocabulary
import words

PICTURES, QUESTIONS = 16, 6
X_BINS, Y_BINS = 20, 40
CLASSES = (len(words.COLOUR_NAMES) + 1, len(words.KIND_NAMES) + 1, X_BINS, Y_BINS)


class Screens:
    """Shards of drawn pictures, as draw.py left them."""

    def __init__(self, folder):
        self.shards = []
        for path in sorted(glob.glob(os.path.join(folder, "*-*.npy"))):
            if ".part" in path:
                continue
            with open(path[:-4] + ".json") as file:
                self.shards.append((numpy.load(path, mmap_mode="r"), json.load(file)))
        self.sizes = numpy.array([len(things) for _, things in self.shards], dtype=float)

    def batch(self, rng, count, first=None):
        """`count` pictures of one size; `first` limits the choice to the first shards."""
        sizes = self.sizes[:first]
        pictures, things = self.shards[rng.choices(range(len(sizes)), sizes)[0]]
        chosen = sorted(rng.sample(range(len(things)), min(count, len(things))))
        return torch.from_numpy(numpy.stack([pictures[index] for index in chosen])), [things[index] for index in chosen]


def dense_labels(things, rows, columns):
    """Per image token: colour, kind (0 for none), its object's centre in thousandths; int [rows * columns, 4]."""
    labels = numpy.zeros((rows, columns, 4), dtype=numpy.int64)
    best = numpy.zeros((rows, columns))
    for thing in things:
        x0, y0, x1, y1 = thing["box"]
        x, y = words.centre_of(thing)
        values = (words.COLOUR_NAMES.index(thing["colour"]) + 1 if thing["colour"] else 0,
                  words.KIND_NAMES.index(thing["kind"]) + 1, x, y)
        across = numpy.clip(numpy.minimum(x1 * columns, numpy.arange(1, columns + 1)) -
                            numpy.maximum(x0 * columns, numpy.arange(columns)), 0, 1)
        down = numpy.clip(numpy.minimum(y1 * rows, numpy.arange(1, rows + 1)) -
                          numpy.maximum(y0 * rows, numpy.arange(rows)), 0, 1)
        share = down[:, None] * across[None]
        share[share < 0.12 * share.max()] = 0
        share[min(rows - 1, int((y0 + y1) / 2 * rows)), min(columns - 1, int((x0 + x1) / 2 * columns))] += 2
        wins = share > best
        labels[wins] = values
        best[wins] = share[wins]
    return labels.reshape(-1, 4)


def near(value, bins):
    """Soft labels: thousandths [N] to weights [N, bins] that fall off within a bin and a half."""
    places = (torch.arange(bins) + 0.5) / bins * 1000
    return torch.softmax(-(((value[:, None] - places) / (1000 / bins)) ** 2), -1)


def dense_loss(head, tokens, labels):
    """The tower's own loss and the share of object tokens whose colour and whose kind are right."""
    scores = F.linear(tokens.float().reshape(-1, model.HIDDEN), head["weight"], head["bias"]).split(CLASSES, -1)
    labels = labels.reshape(-1, 4)
    there = labels[:, 1] > 0
    weight = torch.where(there, 1.0, 0.1)
    colour, kind = ((F.cross_entropy(scores[i], labels[:, i], reduction="none") * weight).sum() for i in range(2))
    loss = (colour + 2 * kind) / weight.sum()
    for index, bins in ((2, X_BINS), (3, Y_BINS)):
        loss = loss + 0.5 * F.cross_entropy(scores[index][there], near(labels[there, index], bins))
    right = [(scores[i].argmax(-1) == labels[:, i])[there].float().mean().item() for i in range(2)]
    return loss, right


class Writer:
    """Turns screens and questions into tokens."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.image = tokenizer.token_to_id("<|image|>")
        self.end = tokenizer.token_to_id("</answer>")
        self.digits = {tokenizer.token_to_id(str(digit)) for digit in range(10)}

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def question(self, asked, answer):
        """Tokens of a question and its reply, and the loss weight of each token as a target."""
        left, right = self.ids(asked + "<|assistant|>\n"), self.ids(answer)
        weights = [0.0] * len(left) + [1.0] * len(right)
        if 'do(action="Tap"' in answer:
            for at in range(len(left), len(left) + len(right)):
                token = at - len(left)
                if right[token] in self.digits:
                    last = token + 1 == len(right) or right[token + 1] not in self.digits
                    weights[at] = 0.4 if last else 3.0
        return left + right, weights

    def prefixes(self, texts, rows, columns):
        """Tokens [B, P] padded on the left, positions [B, P, 3], which are no padding, the position that follows."""
        lines = []
        for text in texts:
            before, _, after = text.partition("<|image|>")
            head, tail = self.ids(before), self.ids(after) if after else []
            spots = [(i, i, i) for i in range(len(head))]
            cursor = len(head)
            line = list(head)
            if after:
                line += [self.image] * (rows * columns)
                spots += [(cursor, cursor + r, cursor + c) for r in range(rows) for c in range(columns)]
                cursor += max(rows, columns)
                line += tail
                spots += [(cursor + i,) * 3 for i in range(len(tail))]
                cursor += len(tail)
            lines.append((line, spots, cursor))
        long = max(len(line) for line, _, _ in lines)
        ids = torch.tensor([[0] * (long - len(line)) + line for line, _, _ in lines])
        positions = torch.tensor([[(0, 0, 0)] * (long - len(line)) + spots for line, spots, _ in lines])
        valid = torch.tensor([[False] * (long - len(line)) + [True] * len(line) for line, _, _ in lines])
        return ids, positions, valid, torch.tensor([cursor for _, _, cursor in lines])


START = "[gMASK]<sop>"
PICTURE = "<|user|>\n<|begin_of_image|><|image|><|end_of_image|>"


def lesson(writer, things, rng, level):
    """Prefix texts (one a picture), QUESTIONS (question, reply) pairs a picture, and each pair's target or None.

    `level` 0 asks for taps alone.
    """
    prefixes, pairs, targets = [], [], []
    mode = rng.random() if level else 1.0
    for objects in things:
        system = f"<|system|>\n{rng.choice(words.SYSTEMS)}" if level and rng.random() < 0.3 else ""
        history = None
        if mode < 0.12:  # a second step: the task and the first step stand before the picture, without theirs
            history = history_of(objects, rng)
        prefixes.append(START + system + (history[0] if history else "") + PICTURE)
        for _ in range(QUESTIONS):
            if history:
                app = rng.choice(words.APPS)[1]
                targets.append(history[2])
                pairs.append((f'** Screen Info **\n\n{{"current_app": "{app}"}}', history[1]))
                continue
            if level and rng.random() < 0.1:
                thing = None
                asked, answer = words.unseen_action(rng)
            else:
                thing = rng.choice(objects)
                language, asked = words.question_about(thing, objects, rng)
                answer = words.tap_reply(language, thing, words.centre_of(thing))
            if level and rng.random() < 0.25:
                asked += f'\n\n{{"current_app": "{rng.choice(words.APPS)[1]}"}}'
            targets.append(thing)
            pairs.append((asked, answer))
    return prefixes, pairs, targets


def history_of(objects, rng):
    """A task of two taps whose first is done: (turns before the picture, the reply due now, its target)."""
    thing = rng.choice(objects)
    language, second = words.question_about(thing, objects, rng)
    other = {"colour": rng.choice(words.COLOUR_NAMES), "kind": rng.choice(list(words.SHAPES)), "box": [0, 0, 0, 0]}
    _, first = words.question_about(other, [other, other], rng, language)
    done = words.tap_reply(language, other, [rng.randint(30, 970), rng.randint(60, 970)])
    task = first + ("，然后" if language == "zh" else ", then ") + second
    return f"<|user|>\n{task}<|assistant|>\n{done}", words.tap_reply(language, thing, words.centre_of(thing)), thing


def talk(rng):
    """Questions without a picture."""
    pairs = []
    for _ in range(16):
        language = rng.choice(["zh", "en"])
        questions, thought, answer = (words.IDENTITY if rng.random() < 0.75 else words.GREETING)[language]
        pairs.append((rng.choice(questions), words.reply(thought, answer)))
    system = f"<|system|>\n{rng.choice(words.SYSTEMS)}" if rng.random() < 0.3 else ""
    return [START + system + "<|user|>\n"], pairs


def pointing_loss(looks, weight, targets, labels):
    """How little the tokens before a digit look at their target, in layer POINTING; labels as in dense_labels."""
    questions = len(targets) // len(labels)
    kept = [index for index, thing in enumerate(targets) if thing]
    centres = torch.tensor([words.centre_of(targets[index]) for index in kept])
    there = (labels[torch.tensor(kept) // questions][..., 2:] == centres[:, None]).all(-1)
    count = labels.shape[1]
    on_image = looks[kept][..., -1 - count:-1]  # the prefix ends with the picture and its end mark
    mass = on_image.masked_fill(~there[:, None, None], -1e4).logsumexp(-1)
    due = (weight[kept] == 3.0) & there.any(-1)[:, None]
    return -mass.permute(0, 2, 1)[:, :-1][due].mean()


def answers(w, writer, prefixes, pairs, image_tokens, grid, targets=None, labels=None):
    """The replies' weighted loss, the pointing loss, the shares of leading digits and other tokens that are right."""
    questions = len(pairs) // len(prefixes)
    ids, positions, valid, after = writer.prefixes(prefixes, *grid)
    lines = [writer.question(*pair) for pair in pairs]
    short = max(len(line) for line, _ in lines)
    own = torch.tensor([line + [0] * (short - len(line)) for line, _ in lines])
    weight = torch.tensor([values + [0.0] * (short - len(values)) for _, values in lines])
    spots = (after.repeat_interleave(questions)[:, None] + torch.arange(short))[..., None].expand(-1, -1, 3)
    table = w["model.language_model.embed_tokens.weight"]
    prefix = table[ids]
    if image_tokens is not None:
        prefix = prefix.masked_scatter((ids == writer.image)[..., None], image_tokens.to(prefix.dtype))
    hidden, looks = model.decoder(w, prefix, positions, valid, table[own], spots, questions)
    target, weight = own[:, 1:], weight[:, 1:]
    due = weight > 0
    pointing = pointing_loss(looks, weight, targets, labels) if targets else torch.zeros(())
    scores = F.linear(hidden[:, :-1][due], w["lm_head.weight"]).float()
    weight, target = weight[due], target[due]
    loss = (F.cross_entropy(scores, target, reduction="none") * weight).sum() / weight.sum()
    right = scores.argmax(-1) == target
    leading = weight == 3.0
    return loss, pointing, right[leading].float().mean().item(), right[weight == 1.0].float().mean().item()


@torch.no_grad()
def align(w, head, writer):
    """Before the first question: words point where the tower puts what they mean, and a key starts equal to a query.

    So a word and the image tokens of such a thing attract each other from the start.
    """
    table, row = w["model.language_model.embed_tokens.weight"], 0
    for names, classes in ((words.COLOURS, CLASSES[0]), (words.KINDS, CLASSES[1])):
        for index, (english, chinese) in enumerate(names.items()):
            direction = F.normalize(head["weight"][row + 1 + index], dim=0) * model.HIDDEN ** 0.5
            for text in (chinese if isinstance(chinese, str) else chinese[0], " " + english, english):
                token = writer.ids(text)[-1]
                table[token] = 0.85 * direction + 0.5 * table[token]
        row += classes
    for layer in range(1, model.LAYERS):
        at = f"model.language_model.layers.{layer}.self_attn."
        query, key = w[at + "q_proj.weight"], w[at + "k_proj.weight"]
        key.copy_(query.view(model.KV_HEADS, -1, model.HEAD, model.HIDDEN)[:, 0].reshape(key.shape))


def optimisers(w, head, rate):
    inner = {name for name, value in w.items() if value.dim() == 2 and "embed" not in name and "lm_head" not in name}
    matrices = [w[name] for name in w if name in inner]
    others = [w[name] for name in w if name not in inner] + list(head.values())
    return [torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)]


def save(path, w, head, optimiser, step):
    torch.save({"weights": {name: value.data for name, value in w.items()}, "step": step,
                "head": {name: value.data for name, value in head.items()},
                "optimisers": [part.state_dict() for part in optimiser]}, path + ".part")
    os.replace(path + ".part", path)


def lose(options, w, head, writer, screens, rng, step):
    """The loss of one step, and the step's row of the log."""
    warm = step < options.warm_up
    pixels, things = screens.batch(rng, PICTURES, 6 if step < options.warm_up // 3 else None)
    rows, columns = pixels.shape[1] // 14, pixels.shape[2] // 14
    labels = torch.from_numpy(numpy.stack([dense_labels(objects, rows // 2, columns // 2) for objects in things]))
    with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
        tokens = model.vision(w, model.patches(pixels), rows, columns)
        loss, (colour, kind) = dense_loss(head, tokens, labels)
        row = [loss.item(), colour, kind]
        if warm:
            return loss, row
        all_of_it = step >= options.taps_until
        prefixes, pairs, targets = lesson(writer, things, rng, int(all_of_it))
        reply, pointing, leading, rest = answers(
            w, writer, prefixes, pairs, tokens, (rows // 2, columns // 2), targets, labels)
        loss = reply + 0.5 * loss + 0.5 * pointing
        if all_of_it and step % 8 == 0:
            loss = loss + 0.2 * answers(w, writer, *talk(rng), None, (0, 0))[0]
    return loss, [*row, reply.item(), leading, rest, pointing.item()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures")
    parser.add_argument("work")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--warm-up", type=int, default=1500, help="steps of the tower alone")
    parser.add_argument("--taps-until", type=int, default=3000, help="until this step, questions are about taps alone")
    parser.add_argument("--cooldown", type=int, default=600, help="the last steps, in which the rate falls to nothing")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--half", action="store_true", help="bfloat16 arithmetic")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.makedirs(options.work, exist_ok=True)
    writer = Writer(vocabulary.write(os.path.join(options.work, "tokenizer")))
    w = {name: value.requires_grad_() for name, value in model.initial(options.seed).items()}
    head = {"weight": (torch.randn(sum(CLASSES), model.HIDDEN) / model.HIDDEN ** 0.5).requires_grad_(),
            "bias": torch.zeros(sum(CLASSES)).requires_grad_()}
    optimiser = optimisers(w, head, options.rate)
    checkpoint, step = os.path.join(options.work, "checkpoint.pt"), 0
    if os.path.exists(checkpoint):
        saved = torch.load(checkpoint)
        for name, value in saved["weights"].items():
            w[name].data.copy_(value)
        for name, value in saved["head"].items():
            head[name].data.copy_(value)
        for part, state in zip(optimiser, saved["optimisers"]):
            part.load_state_dict(state)
        step = saved["step"]
    screens = Screens(options.pictures)
    log = open(os.path.join(options.work, "log.csv"), "a", newline="")
    table = csv.writer(log)
    if step == 0:
        table.writerow("step seconds dense_loss colour kind reply_loss leading_digits other_tokens "
                       "pointing_loss".split())
    count = sum(value.numel() for value in w.values())
    print("parameters", count, "from step", step, "shards", len(screens.shards), flush=True)
    sums, begun = [], time.time()
    while step < options.steps:
        rng = random.Random(options.seed * 1_000_003 + step)
        random.seed(step)
        rate = options.rate * min(1, (step + 1) / 30, (options.steps - step) / max(1, options.cooldown))
        for part in optimiser:
            for group in part.param_groups:
                group["lr"] = rate
        if step == options.warm_up:
            align(w, head, writer)
        loss, row = lose(options, w, head, writer, screens, rng, step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*w.values(), *head.values()], 1.0)
        for part in optimiser:
            part.step()
            part.zero_grad(set_to_none=True)
        step += 1
        sums.append(row)
        if step % 20 == 0:
            same = [line for line in sums if len(line) == len(sums[-1])]
            means = [round(sum(column) / len(same), 4) for column in zip(*same)]
            table.writerow([step, round(time.time() - begun, 1), *means])
            log.flush()
            print(step, round(time.time() - begun), means, flush=True)
            sums = []
        if step % 100 == 0 or step == options.steps:
            save(checkpoint, w, head, optimiser, step)


if __name__ == "__main__":
    main()
