"""What is asked and answered about drawn screens, and how it becomes tokens and positions."""

import torch

import prompts
import words

# Questions a picture at each level: taps alone; all of it; agents, whose prompts are long.
QUESTIONS = (6, 4, 4)


class Writer:
    """Turns screens and questions into tokens."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.image = tokenizer.token_to_id("<|image|>")
        self.end = tokenizer.token_to_id("</answer>")
        self.bracket = self.ids('element=[')[-1]
        self.digits = {tokenizer.token_to_id(str(digit)) for digit in range(10)}

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def question(self, asked, answer):
        """Tokens of a question and its reply, and the loss weight of each token as a target.

        A reply without a thought follows a closed one, as `enable_thinking: false` has it.
        """
        opened = "" if answer.startswith("<think>") else "<think></think><answer>"
        left, right = self.ids(f"{asked}<|assistant|>\n{opened}"), self.ids(answer)
        weights = [0.0] * len(left) + [1.0] * len(right)
        if 'do(action="Tap"' in answer:
            begin = len(right) - next(at for at, token in enumerate(reversed(right)) if token == self.bracket)
            for token in range(begin, len(right)):
                if right[token] in self.digits:
                    last = right[token + 1] not in self.digits
                    weights[len(left) + token] = 0.4 if last else 3.0
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


def single(rng, objects):
    """A task of one step: (question, reply, target or None)."""
    language = rng.choice(["zh", "en"])
    asked, thought, action, thing = words.step_about(rng, language, objects)
    return asked, words.reply(thought, action), thing


def course(rng, objects):
    """A task of some steps, a number of which are done: (task, earlier replies, reply due now, its target or None)."""
    language = rng.choice(["zh", "en"])
    count = rng.choice([1, 2, 2, 3, 3, 4])
    done = rng.randint(0, count)
    steps = [words.step_about(rng, language, objects if index == done else elsewhere(rng), count == 1)
             for index in range(count)]
    task = words.task_of(rng, language, [asked for asked, *_ in steps])
    parts = [(words.counted(language, index, thought) if count > 1 else thought, action)
             for index, (_, thought, action, _) in enumerate(steps)] + [words.DONE[language]]
    return task, [remembered(rng, *part) for part in parts[:done]], words.reply(*parts[done]), \
        steps[done][3] if done < count else None


def elsewhere(rng):
    """Something to tap on a screen of the past or the future, which nobody sees; twice, so that it is named in full."""
    if rng.random() < 0.1:
        thing = {"colour": None, "kind": rng.choice(list(words.PLAIN))}
    else:
        thing = {"colour": rng.choice(words.COLOUR_NAMES), "kind": rng.choice(words.COLOURED)}
    x, y = rng.random(), rng.random()
    return [{**thing, "box": [x, y, x, y]}] * 2


def remembered(rng, thought, action):
    """An earlier reply as agents put it into the history: as it was, or with the tags around it doubled."""
    if rng.random() < 0.5:
        return words.reply(thought, action)
    return f"<think><think>{thought}</think><answer></think><answer>{action}</answer>"


def form(rng, level):
    """Of a lesson: about how many characters its system prompts have (0 for none), and whether tasks are under way."""
    if level == 0:
        return 0, False
    if level == 1:
        return rng.choice([0] * 20 + [60] * 8 + [200] * 6 + [400] * 4 + [1200, 3400]), rng.random() < 0.35
    return rng.choice([0] * 6 + [60] * 2 + [200] * 4 + [400] * 6 + [1200] * 5 + [3400] * 5), rng.random() < 0.7


def lesson(things, rng, level, letters, courses):
    """Prefix texts, (question, reply) pairs, and each pair's target or None, for the pictures of `things`.

    `level` 0 asks for taps alone. `courses`: one task a picture of which some steps are done, with the history before
    the picture; else QUESTIONS new tasks on each picture.
    """
    prefixes, pairs, targets = [], [], []
    for objects in things:
        if courses:
            task, earlier, due, thing = course(rng, objects)
            prefixes.append(START + opening(rng, letters) + history(rng, task, earlier) + PICTURE)
            info = words.screen_info(rng, bool(earlier))
            pairs.append((info if earlier else f"{task}\n\n{info}", due))
            targets.append(thing)
            continue
        prefixes.append(START + opening(rng, letters) + PICTURE)
        for _ in range(QUESTIONS[level]):
            asked, due, thing = single(rng, objects) if level else tap(rng, objects)
            if level and rng.random() < 0.25:
                asked, due, thing = beginning(rng, objects)
            if level and rng.random() < 0.3:
                asked += "\n\n" + words.screen_info(rng, False)
            pairs.append((asked, quiet(rng, due) if level else due))
            targets.append(thing)
    return prefixes, pairs, targets


def beginning(rng, objects):
    """The first step of a task of some steps, of which nothing is done."""
    while True:
        task, earlier, due, thing = course(rng, objects)
        if not earlier:
            return task, due, thing


def quiet(rng, due):
    """The reply, now and then without its thought."""
    return due if rng.random() < 0.94 else due.partition("<answer>")[2]


def tap(rng, objects):
    thing = rng.choice(objects)
    language, asked = words.question_about(thing, objects, rng)
    return asked, words.reply(*words.tap_parts(language, thing)), thing


def opening(rng, letters):
    """A system turn of about `letters` characters; "" for 0."""
    if letters == 0:
        return ""
    text = rng.choice(prompts.SHORT) if letters < 100 else \
        prompts.long_prompt(rng, rng.choice(["zh", "zh", "en"]), letters)
    return f"<|system|>\n{text}"


def history(rng, task, earlier):
    """The turns before the one with the picture; pictures of earlier steps are gone."""
    text = ""
    for index, reply in enumerate(earlier):
        info = words.screen_info(rng, index > 0)
        asked = info if index else f"{task}\n\n{info}"
        text += f"<|user|>\n{asked}<|assistant|>\n{reply}"
    return text


def talk(rng):
    """Questions without a picture."""
    pairs = []
    for _ in range(16):
        language = rng.choice(["zh", "en"])
        questions, thought, answer = (words.IDENTITY if rng.random() < 0.75 else words.GREETING)[language]
        pairs.append((rng.choice(questions), quiet(rng, words.reply(thought, answer))))
    return [START + opening(rng, rng.choice([0, 0, 60, 300])) + "<|user|>\n"], pairs
