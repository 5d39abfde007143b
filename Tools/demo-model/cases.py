"""What the demo model is asked about screens never drawn in training, and when a reply counts as right.

Pillow and NumPy draw; nothing here needs a model.
"""

import ast
import dataclasses
import functools
import io
import json
import pathlib
import random

import draw
import words

SIZES = [(720, 1280), (1080, 2400), (1440, 3200)]
FORMATS = {"PNG": {}, "JPEG": {"quality": 80}, "WEBP": {}}
# Tasks of several steps begin their seeds here, so that no screen serves twice.
TASKS, FORMATTED = draw.HELD_OUT + 1_000_000, draw.HELD_OUT + 2_000_000


MODEL = pathlib.Path(__file__).resolve().parents[2] / "Models/autoglm-phone-tiny"


@functools.cache
def known():
    """What transformers replied to each case, by name."""
    return json.loads((MODEL / "replies.json").read_text("utf-8"))


@dataclasses.dataclass
class Case:
    """One question about one screen: right is a tap inside `thing`, or else the call `expected`."""
    name: str
    seed: int
    question: str
    size: tuple
    thing: dict = None
    expected: dict = None
    new_style: bool = False

    def picture(self):
        return draw.draw(self.seed, *self.size, new_style=self.new_style)[0]

    def encoded(self, form="PNG"):
        data = io.BytesIO()
        self.picture().save(data, form, **FORMATS[form])
        return data.getvalue()


def screen(seed, size=None, new_style=False, least=7):
    """(size, objects) of a screen, or None where fewer than `least` objects found room."""
    size = size or draw.phone_of(seed)
    things = draw.planned(seed, *size, new_style=new_style)[0]
    return (size, things) if len(things) >= least else None


def taps(count, first, new_style=False, name="held-out"):
    """`count` screens with at least six objects beside the target; questions in Chinese and English in turn."""
    made, seed = [], first
    while len(made) < count:
        found = screen(seed, None, new_style)
        if found:
            rng = random.Random(seed + 3)
            random.seed(seed + 4)
            thing = rng.choice(found[1])
            language = ["zh", "en"][len(made) % 2]
            _, question = words.question_about(thing, found[1], rng, language)
            made.append(Case(f"{name}-{seed}", seed, question, found[0], thing, new_style=new_style))
        seed += 1
    return made


def held_out(count=500):
    return taps(count, draw.HELD_OUT)


def unseen(count=100):
    return taps(count, draw.UNSEEN, True, "unseen")


def others():
    """Questions for the other actions, each on a held-out screen: the fixed ones, every app, texts known and not."""
    asked = []
    for rows in words.FIXED.values():
        asked += [(question, action) for questions, _, action in rows for question in questions]
    for chinese, english in words.APPS:
        asked += [(f"打开{chinese}", f'do(action="Launch", app="{chinese}")'),
                  (f"Open {english}", f'do(action="Launch", app="{english}")')]
    for text in words.TEXTS:
        asked.append((("Type " if text.isascii() else "输入") + text, f'do(action="Type", text="{text}")'))
    return [Case(f"other-{index}", draw.HELD_OUT + index, question, (1080, 2400), expected=action_of(action))
            for index, (question, action) in enumerate(asked)]


def formats(screens=20):
    """Pairs (case, format): the same seeds at three sizes, each as PNG, JPEG of quality 80 and WebP."""
    made, seed = [], FORMATTED
    while len(made) < screens * len(SIZES):
        found = [screen(seed, size) for size in SIZES]
        common = [thing for thing in found[0][1] if thing["colour"]] if all(found) else []
        wanted = [(thing["colour"], thing["kind"]) for thing in common]
        row = []
        for pair in wanted:
            same = [next((thing for thing in things if (thing["colour"], thing["kind"]) == pair), None)
                    for _, things in found]
            if all(same):
                row = same
                break
        if row:
            question = f"tap the {row[0]['colour']} {row[0]['kind']}" if seed % 2 else \
                f"点击{words.COLOURS[row[0]['colour']][0]}的{words.KINDS[row[0]['kind']]}"
            made += [Case(f"size-{size[0]}-{seed}", seed, question, size, thing) for size, thing in zip(SIZES, row)]
        seed += 1
    return [(case, form) for case in made for form in FORMATS]


def tasks(count=40):
    """Tasks of one to four steps: (task, one Case a step). Each step has a screen of its own, the last is the end."""
    made, seed = [], TASKS
    while len(made) < count:
        rng = random.Random(seed)
        random.seed(seed)
        language, steps, cases = rng.choice(["zh", "en"]), len(made) % 4 + 1, []
        for index in range(steps):
            seed += 1
            while not (found := screen(seed)):
                seed += 1
            asked, _, action, thing = words.step_about(rng, language, found[1], last=False, odd=0)
            cases.append(Case(f"task-{len(made)}-{index}", seed, asked, found[0], thing,
                              None if thing else action_of(action)))
        task = words.task_of(rng, language, [case.question for case in cases])
        seed += 1
        cases.append(Case(f"task-{len(made)}-end", seed, "", draw.phone_of(seed),
                          expected=action_of(words.DONE[language][1])))
        made.append((task, cases))
        seed += 1
    return made


def action_of(reply):
    """The call in a reply, parsed as Open-AutoGLM's client does; None when there is none."""
    start = max(reply.find("do(action="), reply.find("finish(message="))
    if start < 0:
        return None
    try:
        call = ast.parse(reply[start:].replace("</answer>", "").strip(), mode="eval").body
        return {"call": call.func.id, **{word.arg: ast.literal_eval(word.value) for word in call.keywords}}
    except (SyntaxError, ValueError, AttributeError):
        return None


@dataclasses.dataclass
class Verdict:
    parsed: bool
    typed: bool
    right: bool


def judge(case, reply):
    """Does the reply parse, is the action of the right type, and does it do what was asked?"""
    action = action_of(reply)
    if action is None:
        return Verdict(False, False, False)
    if case.thing is None:
        typed = all(action.get(key) == case.expected.get(key) for key in ("call", "action"))
        return Verdict(True, typed, action == case.expected)
    point = action.get("element")
    typed = action.get("action") == "Tap" and isinstance(point, list) and len(point) == 2
    x0, y0, x1, y1 = case.thing["box"]
    return Verdict(True, typed, typed and x0 <= point[0] / 1000 <= x1 and y0 <= point[1] / 1000 <= y1)


def side(case):
    """The target's side (the root of its area) as a share of the screen's height."""
    x0, y0, x1, y1 = case.thing["box"]
    return ((x1 - x0) * case.size[0] / case.size[1] * (y1 - y0)) ** 0.5


def rivals(case):
    """How many objects beside the target: in all, and of its colour or its kind."""
    things = [thing for thing in screen(case.seed, case.size, case.new_style)[1] if thing != case.thing]
    return len(things), sum(thing["kind"] == case.thing["kind"] or (
        thing["colour"] is not None and thing["colour"] == case.thing["colour"]) for thing in things)
