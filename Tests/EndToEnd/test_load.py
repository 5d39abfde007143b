"""Clients that go, and many at once: everything comes back, and nobody else's answer changes."""

import asyncio
import random

import pytest

from conftest import async_client_of, client_of
from pictures import image_part, picture, text_part
from server import MODEL

STREAMS = 64
DISCONNECTS = 30


def test_a_client_that_goes_mid_stream(client, tiny):
    aborted = tiny.metric("vllm:request_success_total", finished_reason="abort")
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "long"}], max_tokens=3000, stream=True, temperature=0,
        extra_body={"ignore_eos": True})
    for index, _ in enumerate(stream):
        if index == 3:
            break
    assert tiny.metric("vllm:num_requests_running") == 1
    assert tiny.metric("martlet:kv_blocks_used") > 0
    stream.close()
    tiny.wait_idle(5)
    assert tiny.metric("vllm:request_success_total", finished_reason="abort") == aborted + 1


def test_a_client_that_goes_before_the_first_token(tiny):
    async def main():
        async with async_client_of(tiny) as client:
            tasks = [asyncio.create_task(client.chat.completions.create(
                model=MODEL, max_tokens=3000, stream=stream, messages=[{"role": "user", "content": [
                    image_part(picture(420, 420, index)), text_part("slow")]}], extra_body={"ignore_eos": True}))
                for index, stream in enumerate([True, True, False])]
            for _ in range(500):
                if tiny.metric("vllm:num_requests_running") + tiny.metric("vllm:num_requests_waiting") > 0:
                    break
                await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    tiny.wait_idle(15)


def test_many_streams_and_many_that_go(tiny):
    """64 streams at once, 30 of which leave somewhere: the others' text equals what they get alone."""
    chance = random.Random(64)

    def request(kind):
        content = f"kind {kind}: " + "words " * (3 * kind)
        if kind == 5:
            content = [image_part(picture(112, 84)), text_part("what is this?")]
        return dict(
            model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=20 + 3 * kind, temperature=0.8,
            seed=kind, stream=True, extra_body={"ignore_eos": True, "return_token_ids": True})

    async def read(client, kind, leave_after=None, delay=0.0):
        """(token ids, finish reason); stops after so many chunks."""
        await asyncio.sleep(delay)
        tokens, reason = [], None
        stream = await client.chat.completions.create(**request(kind))
        count = 0
        async for chunk in stream:
            choice = chunk.choices[0]
            tokens += choice.model_extra.get("token_ids") or []
            reason = choice.finish_reason or reason
            count += 1
            if count == leave_after:
                await stream.close()
                return tokens, None
        return tokens, reason

    async def leave_early(client, kind, delay):
        """Goes while it waits for its first token."""
        task = asyncio.create_task(client.chat.completions.create(**request(kind)))
        await asyncio.sleep(delay)
        task.cancel()
        try:
            await (await task).close()
        except asyncio.CancelledError:
            pass

    async def main():
        async with async_client_of(tiny) as client:
            solo = [await read(client, kind) for kind in range(8)]
            jobs, kinds = [], []
            for index in range(STREAMS):
                kind = index % 8
                if index < DISCONNECTS // 3:
                    jobs.append(leave_early(client, kind, chance.random() * 0.5))
                elif index < DISCONNECTS:
                    jobs.append(read(client, kind, leave_after=chance.randint(1, 18), delay=chance.random() * 0.2))
                else:
                    jobs.append(read(client, kind))
                kinds.append(kind)
            order = list(range(STREAMS))
            chance.shuffle(order)
            results = [None] * STREAMS
            done = await asyncio.gather(*(jobs[index] for index in order))
            for index, result in zip(order, done):
                results[index] = result
            return solo, kinds, results

    preemptions = tiny.metric("vllm:num_preemptions_total")
    solo, kinds, results = asyncio.run(main())
    assert all(reason == "length" for _, reason in solo)
    for index, (kind, result) in enumerate(zip(kinds, results)):
        if result is None:
            continue
        tokens, reason = result
        if index < DISCONNECTS:
            assert tokens == solo[kind][0][:len(tokens)], f"stream {index}"
        else:
            assert (tokens, reason) == solo[kind], f"stream {index}"
    tiny.wait_idle()
    assert tiny.metric("martlet:integrity_failures_total") == 0
    assert tiny.metric("vllm:num_preemptions_total") >= preemptions


@pytest.mark.parametrize("fields", [{"n": 3, "temperature": 1.0}, {"stop": ["never said"]}])
def test_going_leaves_nothing_of_other_shapes_either(client, tiny, fields):
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "long"}], max_tokens=2000, stream=True,
        extra_body={"ignore_eos": True}, **fields)
    next(iter(stream))
    stream.close()
    tiny.wait_idle(5)


def test_the_same_question_gets_the_same_answer_after_all_this(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "golden"}], max_tokens=12, temperature=0, logprobs=True,
        extra_body={"ignore_eos": True, "cache_salt": "fresh"})
    again = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "golden"}], max_tokens=12, temperature=0, logprobs=True,
        extra_body={"ignore_eos": True})
    assert answer.choices[0].logprobs == again.choices[0].logprobs
