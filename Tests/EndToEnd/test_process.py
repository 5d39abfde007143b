"""The process: how it ends, what it says when it cannot begin, and what its log tells."""

import asyncio
import json
import socket
import threading
import time

import httpx
import openai
import pytest

from conftest import async_client_of
from server import MODEL, TINY, Server, refused, tiny_arguments

LONG = dict(model=MODEL, messages=[{"role": "user", "content": "long"}], stream=True, extra_body={"ignore_eos": True})


def drain(arguments, max_tokens):
    """8 streams, SIGTERM after each has begun: (how each ended, exit status, seconds it took, statuses after)."""
    server = Server(tiny_arguments(*arguments))
    after = []

    async def read(client, begun):
        ends = []
        async with client.stream("POST", "/v1/chat/completions", json={
            **{key: value for key, value in LONG.items() if key != "extra_body"}, "ignore_eos": True,
            "max_tokens": max_tokens, "temperature": 1.0,
        }) as response:
            assert response.status_code == 200
            async for line in response.aiter_lines():
                if not line.startswith("data: "):
                    continue
                begun.set()
                ends = (ends + [line[6:]])[-2:]
        return ends

    async def status_of(ask, path, retries=0, **arguments):
        """503, or what else came of 50 requests. A draining server closes connections that idle, and one may be asked
        at that very moment: what is safe to repeat is asked `retries` times more, as clients and proxies do."""
        for _ in range(50):
            try:
                answer = await ask(path, **arguments)
            except httpx.TransportError:
                if retries == 0:
                    return "closed"
                retries -= 1
                continue
            if answer.status_code == 503:
                break
            await asyncio.sleep(0.01)
        return answer.status_code

    async def main():
        async with httpx.AsyncClient(base_url=server.root, timeout=60, trust_env=False) as client:
            # A connection that idles, and is asked again while the server drains.
            assert (await client.get("/readyz")).status_code == 200
            begun = [asyncio.Event() for _ in range(8)]
            streams = [asyncio.create_task(read(client, event)) for event in begun]
            await asyncio.gather(*(event.wait() for event in begun))
            server.terminate()
            start = time.monotonic()
            after.append(await status_of(client.get, "/readyz", retries=1))
            after.append(await status_of(client.post, "/v1/chat/completions", json={"messages": LONG["messages"]}))
            ends = await asyncio.gather(*streams)
            return ends, start

    try:
        ends, start = asyncio.run(main())
        status = server.process.wait(30)
        return ends, status, time.monotonic() - start, after, server
    finally:
        if server.process.poll() is None:
            server.process.kill()


def test_sigterm_lets_streams_finish():
    ends, status, _, after, server = drain([], max_tokens=60)
    assert status == 0, server.log()
    for end in ends:
        assert end[-1] == "[DONE]"
        assert json.loads(end[0])["choices"][0]["finish_reason"] == "length"
    assert after[0] == 503, after
    assert not server.stack_trap()


def test_sigterm_with_too_little_time_ends_every_stream_in_words():
    ends, status, seconds, after, server = drain(["--shutdown-timeout", "1"], max_tokens=4000)
    assert status == 0, server.log()
    for end in ends:
        assert end[-1] == "[DONE]", end
        last = json.loads(end[0])
        assert "error" in last or last["choices"][0]["finish_reason"], last
    assert any("error" in json.loads(end[0]) for end in ends)
    assert after == [503, 503], after
    assert seconds < 1 + 5, seconds
    assert not server.stack_trap()


def test_sigterm_of_an_idle_server():
    server = Server(tiny_arguments())
    start = time.monotonic()
    assert server.stop(10) == 0
    assert time.monotonic() - start < 5


def test_a_taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, output = refused(tiny_arguments("--host", "127.0.0.1", "--port", str(port)))
    assert status not in (0, 132, 133, 134, 139), output
    assert str(port) in output and "--port" in output, output
    assert "in use" in output, output


@pytest.mark.parametrize("model,words", [
    ("/nowhere/model", ["/nowhere/model"]),
    ("zai-org/AutoGLM-Phone-9B", ["zai-org/AutoGLM-Phone-9B", "download"]),
])
def test_a_model_that_is_not_there(model, words):
    status, output = refused(["--model", model])
    assert status not in (0, 132, 133, 134, 139), output
    assert all(word in output for word in words), output
    assert len(output) < 6000


def test_a_model_without_weights():
    status, output = refused(["--model", str(TINY)])
    assert status not in (0, 132, 133, 134, 139), output
    assert "safetensors" in output, output


def test_ranks_that_do_not_divide():
    status, output = refused(tiny_arguments("--tensor-parallel-size", "3"), seconds=20)
    assert status not in (0, 132, 133, 134, 139), output
    assert "4 query and 2 key/value heads cannot be shared out evenly over 3 ranks" in output
    assert "Sizes that work: 1 and 2." in output


@pytest.mark.parametrize("flag,word", [
    (["--prot", "1"], "--port"), (["--ssl-keyfile", "x"], "ssl-keyfile"), (["--quantization", "awq"], "awq"),
    (["--max-model-len", "zero"], "max-model-len"), (["--nnodes", "2"], "nnodes"),
])
def test_flags_that_are_refused(flag, word):
    status, output = refused(tiny_arguments(*flag), seconds=20)
    assert status == 2, output
    assert word in output.lower(), output


def test_flags_with_underscores(tmp_path):
    server = Server([
        "--model", str(TINY), "--load_format", "dummy", "--served_model_name", MODEL, "--max_model_len", "1k",
        "--mm_processor_kwargs", '{"max_pixels":5000000}', "--mm_processor_cache_type", "shm", "--allowed-origins",
        '["*"]', "--mm-encoder-tp-mode", "data", "--limit-mm-per-prompt", '{"image":10}', "--api-key", "hidden-key",
    ])
    try:
        assert server.http.get("/v1/models").json()["data"][0]["max_model_len"] == 1000
        log = server.log()
        for line in (
            "non-default args: {", "Resolved architecture: Glm4vForConditionalGeneration", "Using max model len 1000",
            "Loading weights took", "CPU KV cache size:", "Maximum concurrency for 1,000 tokens per request:",
            f"Starting API server on http://127.0.0.1:{server.port}", "Available routes are:",
            "Route: /v1/chat/completions, Methods: POST", "Application startup complete.",
            f"Serving model '{MODEL}'",
        ):
            assert line in log, f"{line!r} is not in:\n{log}"
        assert "hidden-key" not in log
        origin = server.http.options("/v1/chat/completions", headers={
            "origin": "http://a.example", "access-control-request-method": "POST"})
        assert origin.headers["access-control-allow-origin"] in ("*", "http://a.example")
    finally:
        assert server.stop() == 0


def test_the_throughput_line():
    server = Server(tiny_arguments(), environment={"VLLM_LOG_STATS_INTERVAL": "0.2"})
    try:
        client = openai.OpenAI(base_url=server.url, api_key="EMPTY")
        for _ in client.chat.completions.create(**LONG, max_tokens=150):
            pass
        time.sleep(0.3)
        assert "Avg generation throughput:" in server.log() and "GPU KV cache usage:" in server.log()
        assert '"POST /v1/chat/completions HTTP/1.1" 200 OK' in server.log()
    finally:
        assert server.stop() == 0


def test_a_slow_or_silly_connection_harms_nobody(tiny):
    sockets = []
    for start in (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Le", b"\x16\x03\x01\x02\x00\x01", b"", b"GET / HT"):
        other = socket.create_connection(("127.0.0.1", tiny.port))
        other.sendall(start)
        sockets.append(other)

    async def main():
        async with async_client_of(tiny) as client:
            return await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "still there?"}], max_tokens=2)

    assert asyncio.run(main()).choices
    for other in sockets:
        other.close()


def test_requests_from_threads(tiny):
    """The synchronous client in threads, as most programs use it, on one connection pool."""
    client = openai.OpenAI(base_url=tiny.url, api_key="EMPTY", max_retries=0)
    answers = {}

    def ask(index):
        answers[index] = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"thread {index % 2}"}], max_tokens=8, temperature=0,
            extra_body={"ignore_eos": True, "return_token_ids": True}).choices[0].model_dump()["token_ids"]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len({tuple(tokens) for index, tokens in answers.items() if index % 2 == 0}) == 1
