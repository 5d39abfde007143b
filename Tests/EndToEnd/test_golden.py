"""The golden numbers of MODEL.md 7.2, asked for over HTTP: PNG files in, tokens and log-probabilities out.

The tiny checkpoint's vocabulary is arranged so that its chat template says the golden prompt, id for id.
"""

import pytest
from PIL import Image

from conftest import client_of
from pictures import image_part, text_part
from server import MODEL

PROMPT = [
    291, 293, 295, 10, 40, 41, 42, 296, 10, 299, *[303] * 20, 300, 50, 299, *[303] * 8, 300, 51, 52, 53, 297, 10]
GREEDY = [130, 262, 130, 262, 130, 262, 289, 173]
TOP = {130: 2.65842, 262: 2.52094, 8: 1.99303, 238: 1.85945, 37: 1.59552}
TEXT_PROMPT = [291, 293, 296, 10, 40, 41, 297, 10]
TEXT_TOP = {132: 2.88292, 262: 2.63345, 301: 2.42008, 208: 2.39659, 150: 2.30645}


def golden_picture(height, width):
    image = Image.new("RGB", (width, height))
    image.putdata([
        tuple((7 * x + 13 * y + 29 * c + x * y % 11) % 256 for c in range(3))
        for y in range(height) for x in range(width)
    ])
    return image


MESSAGES = [
    {"role": "system", "content": "IJK"},
    {"role": "user", "content": [
        image_part(golden_picture(150, 100)), text_part("S"), image_part(golden_picture(56, 112)), text_part("TUV")]},
]


def near(found, expected):
    """Log-probabilities differ as logits do, and come in their order."""
    assert list(found) == [f"token_id:{token}" for token in expected]
    (first, logit), *_ = expected.items()
    for token, value in expected.items():
        gap = found[f"token_id:{first}"] - found[f"token_id:{token}"]
        assert gap == pytest.approx(logit - value, abs=2e-4), token


def ask(server):
    return client_of(server).chat.completions.create(
        model=MODEL, messages=MESSAGES, temperature=0, max_tokens=8, logprobs=True, top_logprobs=5,
        extra_body={"ignore_eos": True, "return_token_ids": True, "return_tokens_as_token_ids": True})


@pytest.mark.parametrize("configuration,cached", [
    ("tiny", 32), ("small-chunks", 32), ("single-rows", 32), ("whole-prompts", 32), ("no-cache", 0), ("scalar", 32),
    ("two-ranks", 32), ("four-ranks", 32), ("two-stages", 32), ("ranks-in-stages", 32), ("two-engines", 32),
])
def test_two_pictures_and_text(servers, configuration, cached):
    """Whole, in chunks of 16, 7 and 1, twice each, the second time from the prefix cache; bit for bit the same."""
    server = servers[configuration]
    told = server.http.post("/tokenize", json={"messages": MESSAGES}).json()
    assert told["tokens"] == PROMPT
    answers = [ask(server), ask(server)]
    for answer in answers:
        assert answer.usage.prompt_tokens == 47
        assert answer.choices[0].model_dump()["token_ids"] == GREEDY
        near({entry.token: entry.logprob for entry in answer.choices[0].logprobs.content[0].top_logprobs}, TOP)
    assert answers[1].usage.prompt_tokens_details.cached_tokens == cached
    assert answers[0].choices[0].logprobs == answers[1].choices[0].logprobs
    if configuration not in ("scalar", "two-ranks", "four-ranks", "ranks-in-stages"):
        assert answers[0].choices[0].logprobs == ask(servers["tiny"]).choices[0].logprobs


def test_text_alone(tiny):
    answer = client_of(tiny).completions.create(
        model=MODEL, prompt=TEXT_PROMPT, max_tokens=1, temperature=0, logprobs=5,
        extra_body={"return_tokens_as_token_ids": True})
    near(answer.choices[0].logprobs.top_logprobs[0], TEXT_TOP)
