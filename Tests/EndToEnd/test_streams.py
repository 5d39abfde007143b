"""What a stream looks like, byte by byte and through the clients."""

import asyncio
import json

import pytest

from conftest import async_client_of, client_of
from pictures import image_part, picture, text_part
from server import MODEL

HELLO = [{"role": "user", "content": "hello"}]


def raw_stream(server, path="/v1/chat/completions", **body):
    """(header fields, blocks of bytes as they came)."""
    with server.http.stream("POST", path, json={"model": MODEL, "stream": True, **body}) as response:
        assert response.status_code == 200, response.read()
        return response.headers, [block for block in response.iter_raw() if block]


def events_of(blocks):
    frames = b"".join(blocks).decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith(("data: ", ":")) for frame in frames), frames
    data = [frame[6:] for frame in frames if frame.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return [json.loads(item) for item in data]


def test_chunks(tiny):
    headers, blocks = raw_stream(tiny, messages=HELLO, max_tokens=6, temperature=0, ignore_eos=True, logprobs=True)
    assert headers["content-type"].split(";")[0] == "text/event-stream"
    assert headers["x-request-id"]
    events = events_of(blocks)
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {event["id"] for event in events} == {events[0]["id"]}
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert {event["model"] for event in events} == {MODEL}
    for event in events[:-1]:
        assert event["choices"][0]["finish_reason"] is None and "finish_reason" in event["choices"][0]
        assert "usage" not in event
    assert events[-1]["choices"][0]["finish_reason"] == "length" and "stop_reason" in events[-1]["choices"][0]
    # One chunk a token between the role and the end.
    assert [len(event["choices"][0]["logprobs"]["content"]) for event in events[1:-1]] == [1] * 6
    # The role came with the first token, not before it: a client's time to first token is no lie.
    assert blocks[0].count(b"data: ") >= 2, blocks[0]


def test_include_usage(client):
    chunks = list(client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=5, temperature=0, stream=True, stream_options={"include_usage": True},
        extra_body={"ignore_eos": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 5
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + 5


def test_usage_of_langchain(tiny):
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(
        model=MODEL, base_url=tiny.url, api_key="EMPTY", streaming=True, stream_usage=True, max_tokens=5,
        extra_body={"ignore_eos": True})
    message = chat.invoke("hello")
    assert message.usage_metadata["output_tokens"] == 5
    assert message.usage_metadata["input_token_details"]["cache_read"] >= 0


def test_cached_tokens_of_the_second_request(client):
    messages = [{"role": "user", "content": "a sentence that no other test sends, longer than two blocks of sixteen."}]
    usages = [
        client.chat.completions.create(model=MODEL, messages=messages, max_tokens=2).usage for _ in range(2)
    ]
    assert usages[0].prompt_tokens_details.cached_tokens == 0
    cached = usages[1].prompt_tokens_details.cached_tokens
    assert cached >= 32 and cached % 16 == 0 and cached < usages[1].prompt_tokens


@pytest.mark.parametrize("fields", [
    {"temperature": 0}, {"temperature": 0.9, "seed": 7}, {"temperature": 1.2, "seed": 8, "top_p": 0.9},
])
def test_stream_and_whole_say_the_same(client, fields):
    for content in ("tell me", [image_part(picture(112, 112)), text_part("tell me")]):
        request = dict(
            model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=24,
            extra_body={"ignore_eos": True}, logprobs=True, top_logprobs=2, **fields)
        whole = client.chat.completions.create(**request).choices[0]
        pieces = [chunk.choices[0] for chunk in client.chat.completions.create(**request, stream=True) if chunk.choices]
        assert "".join(piece.delta.content or "" for piece in pieces) == whole.message.content
        streamed = [token for piece in pieces if piece.logprobs for token in piece.logprobs.content]
        assert streamed == whole.logprobs.content
        assert pieces[-1].finish_reason == whole.finish_reason


def test_async_streams_do_not_mix(tiny):
    async def one(client, index):
        text = ""
        stream = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"number {index}"}], max_tokens=16, temperature=0,
            stream=True, extra_body={"ignore_eos": True})
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
        return text

    async def main():
        async with async_client_of(tiny) as client:
            together = await asyncio.gather(*(one(client, index) for index in range(8)))
            return together, [await one(client, index) for index in range(8)]

    together, alone = asyncio.run(main())
    assert together == alone
    assert len(set(alone)) > 1


def test_langchain_astream(tiny):
    from langchain_openai import ChatOpenAI

    async def main():
        chat = ChatOpenAI(
            model=MODEL, base_url=tiny.url, api_key="EMPTY", temperature=0, max_tokens=12, extra_body={"ignore_eos": True})
        pieces = [chunk.content async for chunk in chat.astream("hello")]
        return "".join(pieces), (await chat.ainvoke("hello")).content

    streamed, whole = asyncio.run(main())
    assert streamed == whole


def test_keep_alive_comments(servers):
    server = servers["keep-alive"]
    content = [image_part(picture(560, 560)), text_part("a slow one")]
    body = dict(messages=[{"role": "user", "content": content}], max_tokens=3, temperature=0, ignore_eos=True)
    _, blocks = raw_stream(server, **body)
    frames = b"".join(blocks).decode().split("\n\n")
    comments = [frame for frame in frames if frame.startswith(":")]
    assert comments, frames
    assert len(events_of(blocks)) >= 2
    # The clients do not see them.
    body = {"messages": [{"role": "user", "content": content + [text_part("!")]}]}
    chunks = list(client_of(server).chat.completions.create(model=MODEL, max_tokens=3, stream=True, **body))
    assert chunks[-1].choices[0].finish_reason
    server.wait_idle()


def test_completions_stream(client):
    request = dict(model=MODEL, prompt="once upon", max_tokens=12, temperature=0, extra_body={"ignore_eos": True})
    whole = client.completions.create(**request).choices[0]
    pieces = [chunk.choices[0] for chunk in client.completions.create(**request, stream=True)]
    assert "".join(piece.text for piece in pieces) == whole.text
    assert pieces[-1].finish_reason == whole.finish_reason == "length"
