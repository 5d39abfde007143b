"""How tokens are chosen, as a client asks for it."""

import math

from server import MODEL

HELLO = [{"role": "user", "content": "hello there"}]


def chat(client, extra=None, **fields):
    fields = {"max_tokens": 16, "temperature": 0, "messages": HELLO, **fields}
    return client.chat.completions.create(
        model=MODEL, extra_body={"ignore_eos": True, "return_token_ids": True, **(extra or {})}, **fields)


def ids(choice):
    return choice.model_dump()["token_ids"]


def test_greedy_twice(client):
    assert ids(chat(client).choices[0]) == ids(chat(client).choices[0])


def test_seed(client):
    def drawn(seed):
        return ids(chat(client, temperature=1.0, seed=seed).choices[0])

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(4)}) == 4


def test_n(client):
    choices = chat(client, temperature=1.0, seed=3, n=3).choices
    assert [choice.index for choice in choices] == [0, 1, 2]
    assert len({tuple(ids(choice)) for choice in choices}) == 3
    again = chat(client, temperature=1.0, seed=3, n=3)
    assert [ids(choice) for choice in again.choices] == [ids(choice) for choice in choices]
    assert again.usage.completion_tokens == 48


def test_n_streamed(client):
    whole = chat(client, temperature=1.0, seed=3, n=3).choices
    texts, ends = ["", "", ""], [None] * 3
    for chunk in chat(client, temperature=1.0, seed=3, n=3, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends[choice.index] = choice.finish_reason or ends[choice.index]
    assert texts == [choice.message.content for choice in whole]
    assert ends == ["length"] * 3


def test_chat_logprobs(client):
    choice = chat(client, logprobs=True, top_logprobs=5, max_tokens=8).choices[0]
    assert len(choice.logprobs.content) == 8
    for token in choice.logprobs.content:
        best = [entry.logprob for entry in token.top_logprobs]
        assert len(best) == 5 and best == sorted(best, reverse=True)
        # Greedy: the chosen token is the best one.
        assert token.logprob == best[0] and token.token == token.top_logprobs[0].token
        assert sum(math.exp(value) for value in best) <= 1.0001
    text = b"".join(bytes(token.bytes) for token in choice.logprobs.content).decode(errors="replace")
    assert choice.message.content in text or choice.message.content == text


def test_logprobs_are_of_the_model_not_of_the_sampler(client):
    plain = chat(client, logprobs=True, top_logprobs=3, max_tokens=1).choices[0].logprobs.content[0]
    hot = chat(client, logprobs=True, top_logprobs=3, max_tokens=1, temperature=1.7, seed=1).choices[0]
    assert [e.logprob for e in hot.logprobs.content[0].top_logprobs] == [e.logprob for e in plain.top_logprobs]


def test_completion_logprobs(client):
    choice = client.completions.create(
        model=MODEL, prompt="once", max_tokens=6, temperature=0, logprobs=3, extra_body={"ignore_eos": True}).choices[0]
    record = choice.logprobs
    assert len(record.tokens) == len(record.token_logprobs) == len(record.top_logprobs) == len(record.text_offset) == 6
    for value, best in zip(record.token_logprobs, record.top_logprobs):
        assert value == max(best.values()) and 1 <= len(best) <= 3


def test_logit_bias(client):
    # "A" is the 33rd printable ASCII character, counted from "!".
    assert chat(client, logit_bias={"32": 100}, max_tokens=5).choices[0].message.content == "AAAAA"
    first = ids(chat(client, max_tokens=1).choices[0])[0]
    assert ids(chat(client, max_tokens=1, logit_bias={str(first): -100}).choices[0])[0] != first


def test_allowed_tokens(client):
    choice = chat(client, {"allowed_token_ids": [32, 33]}, temperature=1.0, seed=5).choices[0]
    assert set(choice.message.content) == {"A", "B"}


def test_stop_strings(client):
    spoken = {"allowed_token_ids": [32, 33, 34]}
    fields = dict(temperature=1.0, seed=11, max_tokens=60)
    text = chat(client, spoken, **fields).choices[0].message.content
    stop = text[20:24]
    at = text.index(stop)
    choice = chat(client, spoken, stop=[stop, "never"], **fields).choices[0]
    assert choice.message.content == text[:at]
    assert choice.finish_reason == "stop" and choice.model_dump()["stop_reason"] == stop
    kept = chat(client, {**spoken, "include_stop_str_in_output": True}, stop=stop, **fields).choices[0]
    assert kept.message.content == text[:at] + stop
    streamed = "".join(
        chunk.choices[0].delta.content or "" for chunk in chat(client, spoken, stop=stop, stream=True, **fields))
    assert streamed == text[:at]


def test_stop_token_ids(client):
    choice = chat(client, {"allowed_token_ids": [32, 33], "stop_token_ids": [33]}, temperature=1.0, seed=2).choices[0]
    assert choice.finish_reason == "stop" and set(choice.message.content) <= {"A"}


def test_penalties_act_under_greedy(client):
    plain = ids(chat(client, max_tokens=40).choices[0])
    penalised = ids(chat(client, max_tokens=40, frequency_penalty=2.0).choices[0])
    assert len(set(penalised)) > len(set(plain))


def test_end_of_generation(client):
    """Without ignore_eos a bias on an end token ends the answer at once, with the reason `stop`."""
    for token in (289, 296, 298, 308):
        answer = client.chat.completions.create(
            model=MODEL, messages=HELLO, temperature=0, max_tokens=9, logit_bias={str(token): 100})
        assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("stop", "")
        assert answer.usage.completion_tokens == 1


def test_max_tokens_beyond_the_context_is_clamped(servers):
    from conftest import client_of

    server = servers["short-context"]
    long = [{"role": "user", "content": "word " * 300}]
    answer = chat(client_of(server), messages=long, max_tokens=3000)
    assert answer.usage.total_tokens == 1024
    assert answer.choices[0].finish_reason == "length"


def test_special_tokens_as_plain_text(client, tiny):
    """What a user types is never taken for control: it costs its letters, not one token."""
    plain = chat(client, messages=[{"role": "user", "content": "x"}]).usage.prompt_tokens
    for text in ("<|image|>", "<|user|>", "<|endoftext|>", "[gMASK]"):
        assert chat(client, messages=[{"role": "user", "content": text}]).usage.prompt_tokens > plain + 2, text
