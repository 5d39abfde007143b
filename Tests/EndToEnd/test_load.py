"""Clients that go, and many at once: everything comes back, and nobody else's answer changes."""

import asyncio
import random

import pytest

from conftest import async_client_of
from pictures import image_part, picture, text_part
from server import MODEL

AT_ONCE = 64
COMPLETE = 64
DISCONNECTS = 200
KINDS = 8


def request(kind):
    """One of 8 requests: short and long, drawn and greedy, one with a picture, two that begin alike."""
    content = f"kind {kind // 2}: " + "words " * (3 * kind)
    if kind == 5:
        content = [image_part(picture(112, 84)), text_part("what is this?")]
    return dict(
        model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=30 + 4 * kind,
        temperature=0 if kind == 3 else 0.8, seed=kind, stream=True,
        extra_body={"ignore_eos": True, "return_token_ids": True})


async def read(client, kind, leave_after=None):
    """(token ids, finish reason); leaves after so many chunks."""
    tokens, reason, count = [], None, 0
    stream = await client.chat.completions.create(**request(kind))
    async for chunk in stream:
        choice = chunk.choices[0]
        tokens += choice.model_extra.get("token_ids") or []
        reason = choice.finish_reason or reason
        count += 1
        if count == leave_after:
            await stream.close()
            return tokens, None
    return tokens, reason


async def leave_early(client, kind, seconds):
    """Goes while it waits for its first token, if that takes so long."""
    task = asyncio.create_task(client.chat.completions.create(**request(kind)))
    await asyncio.sleep(seconds)
    task.cancel()
    try:
        await (await task).close()
    except asyncio.CancelledError:
        pass


async def storm(server, seed):
    """What each kind gets alone, and what 264 streams got, of which 200 left: (kind, leaves, result)."""
    chance = random.Random(seed)
    plan = [(index % KINDS, index < DISCONNECTS) for index in range(DISCONNECTS + COMPLETE)]
    chance.shuffle(plan)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(client, kind, leaves, draw):
        async with gate:
            if not leaves:
                return kind, leaves, await read(client, kind)
            if draw < 0.3:
                return kind, leaves, await leave_early(client, kind, draw / 5)
            return kind, leaves, await read(client, kind, leave_after=1 + int((draw - 0.3) * 40))

    async with async_client_of(server) as client:
        solo = [await read(client, kind) for kind in range(KINDS)]
        jobs = [one(client, kind, leaves, chance.random()) for kind, leaves in plan]
        return solo, await asyncio.gather(*jobs)


def check(solo, results):
    assert all(reason == "length" and len(tokens) == 30 + 4 * kind for kind, (tokens, reason) in enumerate(solo))
    assert sum(1 for _, leaves, _ in results if not leaves) == COMPLETE
    for kind, leaves, result in results:
        if result is None:
            continue
        tokens, _ = result
        if leaves:
            assert tokens == solo[kind][0][:len(tokens)]
        else:
            assert result == solo[kind]


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


def test_clients_that_go_before_the_first_token(tiny):
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

    aborted = tiny.metric("vllm:request_success_total", finished_reason="abort")
    asyncio.run(main())
    tiny.wait_idle(15)
    assert tiny.metric("vllm:request_success_total", finished_reason="abort") == aborted + 3


@pytest.mark.parametrize("fields", [{"n": 3, "temperature": 1.0}, {"stop": ["never said"]}])
def test_going_leaves_nothing_of_other_shapes_either(client, tiny, fields):
    spoken = tiny.metric("vllm:generation_tokens_total")
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "long"}], max_tokens=3000, stream=True,
        extra_body={"ignore_eos": True}, **fields)
    next(iter(stream))
    stream.close()
    tiny.wait_idle(5)
    assert tiny.metric("vllm:generation_tokens_total") - spoken < 1000


@pytest.mark.parametrize("seed", [1, 2])
def test_64_streams_at_once_and_200_that_go(tiny, seed):
    """The streams that stay say what they say alone, those that leave said the beginning of it; nothing is left."""
    process = tiny.process.pid
    solo, results = asyncio.run(storm(tiny, seed))
    check(solo, results)
    tiny.wait_idle()
    assert tiny.process.poll() is None and tiny.process.pid == process
    assert tiny.metric("martlet:integrity_failures_total") == 0


def test_the_same_when_the_cache_is_too_small_for_all(servers):
    server = servers["small-cache"]
    solo, results = asyncio.run(storm(server, 3))
    check(solo, results)
    server.wait_idle()
    assert server.metric("vllm:num_preemptions_total") > 0
    assert server.metric("martlet:integrity_failures_total") == 0


def test_nothing_leaks(tiny):
    """After one storm, another one leaves no more open files and no more memory behind."""

    def state():
        tiny.wait_idle()
        return tiny.metric("process_open_fds"), tiny.metric("process_resident_memory_bytes")

    asyncio.run(storm(tiny, 4))
    files, memory = state()
    asyncio.run(storm(tiny, 5))
    files_after, memory_after = state()
    assert abs(files_after - files) <= 4, (files, files_after)
    assert memory_after - memory <= 32 << 20, (memory, memory_after)


def test_the_same_question_gets_the_same_answer_after_all_this(client):
    def ask(**more):
        return client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "golden"}], max_tokens=12, temperature=0, logprobs=True,
            extra_body={"ignore_eos": True, **more}).choices[0].logprobs

    assert ask(cache_salt="fresh") == ask() == ask()
