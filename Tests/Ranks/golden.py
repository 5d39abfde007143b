"""Questions to the tiny checkpoint and to SmolLM2, and what one rank answers."""

import threading

import pytest
from PIL import Image

from pictures import image_part, text_part
from ranks import MODEL


def picture(height, width, seed):
    image = Image.new("RGB", (width, height))
    image.putdata([
        tuple((7 * x + 13 * y + 29 * c + seed * x * y % 11) % 256 for c in range(3))
        for y in range(height) for x in range(width)
    ])
    return image


def questions(seeing):
    """Bodies of requests; pictures where the model sees them."""
    asked = [[{"role": "user", "content": "Name three colours of the rainbow."}],
             [{"role": "system", "content": "IJK"}, {"role": "user", "content": "Count to ten. " * 6}]]
    if seeing:
        asked += [
            [{"role": "user", "content": [image_part(picture(150, 100, 1)), text_part("S"),
                                          image_part(picture(56, 112, 3)), text_part("TUV")]}],
            [{"role": "user", "content": [image_part(picture(112, 84, 5)), text_part("Where?")]}],
        ]
    return [{"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 12, "logprobs": True,
             "top_logprobs": 1, "ignore_eos": True, "return_token_ids": True} for messages in asked]


def ask(server, body):
    """Tokens, their log-probabilities, and how many tokens of the prompt were cached."""
    answer = server.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    answer = answer.json()
    choice = answer["choices"][0]
    return (choice["token_ids"], [entry["logprob"] for entry in choice["logprobs"]["content"]],
            answer["usage"]["prompt_tokens_details"]["cached_tokens"])


def ask_all(server, bodies):
    """All at once."""
    answers = [None] * len(bodies)

    def one(index):
        answers[index] = ask(server, bodies[index])

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def expect_same(found, expected, what):
    """The largest difference of log-probabilities."""
    assert found[0] == expected[0], what
    worst = max(abs(one - other) for one, other in zip(found[1], expected[1], strict=True))
    assert worst <= 1e-4, (what, worst)
    return worst


def compare(server, expected, bodies, what):
    """Alone, again with what is cached, and all at once."""
    worst = 0
    for body, answer in zip(bodies, expected):
        first, second = ask(server, body), ask(server, body)
        worst = max(worst, expect_same(first, answer, what), expect_same(second, answer, what))
        assert second[2] > 0 or len(body["messages"]) == 1, f"{what}: nothing was cached"
    for found, answer in zip(ask_all(server, bodies), expected, strict=True):
        worst = max(worst, expect_same(found, answer, what))
    assert worst == pytest.approx(0, abs=1e-4)
    return worst
