#!/usr/bin/env python3
"""Trains the demo model from nothing; goes on from its checkpoint when there is one. README.md has the commands.

    python3 train.py PICTURES WORK --tower 1500 --taps 3000 --steps 6000

One worker a core, each with its own pictures and one thread: two cores do twice the work of one, and something else
that runs beside costs its own share only.
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
import torch.multiprocessing
import torch.nn.functional as F
from tokenizers import Tokenizer

import lessons
import model
import optimise
import vocabulary
import words

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


def dense_loss(w, tokens, labels):
    """The tower's own loss; the shares of object tokens with the right colour, kind, bin of x and of y (give or take 1)."""
    scores = F.linear(tokens.float().reshape(-1, model.HIDDEN), w["head.weight"], w["head.bias"]).split(CLASSES, -1)
    labels = labels.reshape(-1, 4)
    there = labels[:, 1] > 0
    weight = torch.where(there, 1.0, 0.1)
    colour, kind = ((F.cross_entropy(scores[i], labels[:, i], reduction="none") * weight).sum() for i in range(2))
    loss = (colour + 2 * kind) / weight.sum()
    for index, bins in ((2, X_BINS), (3, Y_BINS)):
        loss = loss + 0.5 * F.cross_entropy(scores[index][there], near(labels[there, index], bins))
    right = [(scores[i].argmax(-1) == labels[:, i])[there].float().mean().item() for i in range(2)]
    for index, bins in ((2, X_BINS), (3, Y_BINS)):
        far = scores[index][there].argmax(-1) - labels[there, index] * bins // 1000
        right.append((far.abs() <= 1).float().mean().item())
    return loss, right


def pointing_loss(looks, weight, targets, labels):
    """How little the tokens before a digit look at their target, in layer POINTING; labels as in dense_labels."""
    questions = len(targets) // len(labels)
    kept = [index for index, thing in enumerate(targets) if thing]
    if not kept:
        return torch.zeros(())
    centres = torch.tensor([words.centre_of(targets[index]) for index in kept])
    there = (labels[torch.tensor(kept) // questions][..., 2:] == centres[:, None]).all(-1)
    count = labels.shape[1]
    on_image = looks[kept][..., -1 - count:-1]  # the prefix ends with the picture and its end mark
    mass = on_image.masked_fill(~there[:, None, None], -1e4).logsumexp(-1)
    due = (weight[kept] == 3.0) & there.any(-1)[:, None]
    return -mass.permute(0, 2, 1)[:, :-1][due].sum() / due.sum().clamp(min=1) / mass.shape[1]


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
    means = [right[kept].float().mean().item() if kept.any() else 0.0 for kept in (weight == 3.0, weight == 1.0)]
    return loss, pointing, *means


@torch.no_grad()
def align(w, writer):
    """Before the first question: words point where the tower puts what they mean, and a key starts equal to a query.

    So a word and the image tokens of such a thing attract each other from the start.
    """
    table, row = w["model.language_model.embed_tokens.weight"], 0
    for names, classes in ((words.COLOURS, CLASSES[0]), (words.KINDS, CLASSES[1])):
        for index, (english, chinese) in enumerate(names.items()):
            direction = F.normalize(w["head.weight"][row + 1 + index], dim=0) * model.HIDDEN ** 0.5
            for text in (chinese if isinstance(chinese, str) else chinese[0], " " + english, english):
                token = writer.ids(text)[-1]
                table[token] = 0.85 * direction + 0.5 * table[token]
        row += classes
    for layer in range(1, model.LAYERS):
        at = f"model.language_model.layers.{layer}.self_attn."
        query, key = w[at + "q_proj.weight"], w[at + "k_proj.weight"]
        key.copy_(query.view(model.KV_HEADS, -1, model.HEAD, model.HIDDEN)[:, 0].reshape(key.shape))


def lose(options, vision, w, writer, screens, rng, step):
    """The loss of one step of one worker, and the step's row of the log; `vision` is model.vision or its compiled form."""
    warm = step < options.tower
    pixels, things = screens.batch(rng, options.batch * (2 if warm else 1), 4 if step < 300 else None)
    rows, columns = pixels.shape[1] // 14, pixels.shape[2] // 14
    labels = torch.from_numpy(numpy.stack([dense_labels(objects, rows // 2, columns // 2) for objects in things]))
    with torch.autocast("cpu", torch.bfloat16):
        tokens = vision(w, model.patches(pixels), rows, columns)
        loss, right = dense_loss(w, tokens, labels)
        row = [loss.item(), *right]
        if warm:
            return loss, row
        level = sum(step >= start for start in (options.taps, options.agents))
        # The same for all workers, who wait for each other; the longer the prompts, the fewer.
        letters, courses = lessons.form(random.Random(step), level)
        count = max(1, len(things) * 250 // max(250, letters))
        prefixes, pairs, targets = lessons.lesson(things[:count], rng, level, letters, courses)
        reply, pointing, leading, rest = answers(
            w, writer, prefixes, pairs, tokens[:count], (rows // 2, columns // 2), targets, labels[:count])
        loss = reply + 0.5 * loss + 0.5 * pointing
        if level and step % 4 == 0:
            loss = loss + 0.2 * answers(w, writer, *lessons.talk(rng), None, (0, 0))[0]
    return loss, [*row, reply.item(), leading, rest, pointing.item()]


def work(worker, options, shared, writer, meeting):
    """One worker's life: its own pictures, the common weights."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    vision = torch.compile(model.vision) if options.compile else model.vision
    w = {name: value.requires_grad_() for name, value in shared.weights.items()}
    screens = Screens(options.pictures)
    log = open(os.path.join(options.work, "log.csv"), "a", newline="") if worker == 0 else None
    table = csv.writer(log) if log else None
    if log and log.tell() == 0:
        table.writerow("step seconds dense_loss colour kind x y reply_loss leading_digits other_tokens "
                       "pointing_loss".split())
    rows, begun = [], time.time()
    for step in range(options.first, options.steps):
        rng = random.Random((options.seed * 1_000_003 + step) * 64 + worker)
        random.seed(step * 64 + worker)
        rate = options.rate * min(1, (step + 1) / 30, (options.steps - step) / max(1, options.cooldown))
        if step == options.tower:
            meeting.wait()  # the others still change their share of the weights
            if worker == 0:
                align(shared.weights, writer)
        meeting.wait()
        loss, row = lose(options, vision, w, writer, screens, rng, step)
        loss.backward()
        with torch.no_grad():
            for name, value in w.items():
                if value.grad is None:
                    shared.gradients[worker][name].zero_()
                else:
                    shared.gradients[worker][name].copy_(value.grad)
                    value.grad = None
        meeting.wait()
        shared.change(worker, rate, step)
        rows.append(row)
        if worker == 0 and (step + 1) % 20 == 0:
            same = [line for line in rows if len(line) == len(rows[-1])]
            means = [round(sum(column) / len(same), 4) for column in zip(*same)]
            table.writerow([step + 1, round(time.time() - begun, 1), *means])
            log.flush()
            print(step + 1, round(time.time() - begun), means, flush=True)
            rows = []
        if (step + 1) % 100 == 0 or step + 1 == options.steps:
            meeting.wait()
            if worker == 0:
                path = os.path.join(options.work, "checkpoint.pt")
                torch.save({"step": step + 1, **shared.state()}, path + ".part")
                os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures")
    parser.add_argument("work")
    parser.add_argument("--steps", type=int, default=5400)
    parser.add_argument("--tower", type=int, default=900, help="steps of the tower alone")
    parser.add_argument("--taps", type=int, default=1500, help="until this step, questions are about taps alone")
    parser.add_argument("--agents", type=int, default=4700, help="from this step, mostly tasks behind long prompts")
    parser.add_argument("--cooldown", type=int, default=1500, help="the last steps, in which the rate falls to nothing")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--batch", type=int, default=12,
                        help="pictures a worker and step, twice as many for the tower alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="where no C++ compiler is to be had")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    # A checkpoint belongs to its tokenizer: another word in words.py would number the tokens anew.
    kept = os.path.join(options.work, "tokenizer", "tokenizer.json")
    writer = lessons.Writer(Tokenizer.from_file(kept) if os.path.exists(kept) else
                            vocabulary.write(os.path.dirname(kept)))
    weights = model.initial(options.seed)
    weights["head.weight"] = torch.randn(sum(CLASSES), model.HIDDEN) / model.HIDDEN ** 0.5
    weights["head.bias"] = torch.zeros(sum(CLASSES))
    shared = optimise.Shared(weights, options.workers)
    options.first = 0
    checkpoint = os.path.join(options.work, "checkpoint.pt")
    if os.path.exists(checkpoint):
        saved = torch.load(checkpoint)
        shared.restore(saved)
        options.first = saved["step"]
    count = sum(value.numel() for name, value in weights.items() if not name.startswith("head."))
    print("parameters", count, "from step", options.first, flush=True)
    meeting = torch.multiprocessing.get_context("spawn").Barrier(options.workers)
    torch.multiprocessing.spawn(work, (options, shared, writer, meeting), options.workers)


if __name__ == "__main__":
    main()
