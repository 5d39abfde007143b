"""What goes wrong, as the clients' own exception classes tell it."""

import json

import openai
import pytest

from conftest import async_client_of, client_of, users_page
from server import MODEL

HELLO = [{"role": "user", "content": "hello"}]


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert "The model `gpt-9` does not exist" in caught.value.message and MODEL in caught.value.message
    assert caught.value.type == "NotFoundError" and caught.value.param == "model" and caught.value.body["code"] == 404
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_a_request_without_a_model_gets_the_first(tiny):
    answer = tiny.http.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 1})
    assert answer.status_code == 200 and answer.json()["model"] == MODEL


def test_a_prompt_too_long(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "12345 " * 3000}])
    assert caught.value.param == "input_tokens"
    assert "This model's maximum context length is 4096 tokens. However, your prompt contains" in caught.value.message


BAD = {
    "temperature": (dict(temperature=3), "temperature", "temperature must be in [0, 2]"),
    "top_p": (dict(top_p=0), "top_p", "top_p must be in (0, 1]"),
    "top_k": (dict(extra_body={"top_k": -2}), "top_k", "top_k must be 0 (disable), or at least 1"),
    "frequency_penalty": (dict(frequency_penalty=3), "frequency_penalty", "[-2, 2]"),
    "max_tokens": (dict(max_tokens=0), "max_tokens", "max_tokens must be at least 1"),
    "n": (dict(n=2, temperature=0), "n", "n must be 1 when using greedy sampling"),
    "top_logprobs": (dict(logprobs=True, top_logprobs=21), "top_logprobs", "20"),
    "stream_options": (dict(stream_options={"include_usage": True}), "stream_options", "Stream options can only be"),
    "logit_bias": (dict(logit_bias={"400": 1}), "logit_bias", "400"),
    "stop": (dict(stop=[""]), "stop", "stop strings"),
    "response_format": (dict(response_format={"type": "json_object"}), "response_format", "not supported"),
    "tools": (
        dict(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]), "tools", "not supported"),
    "structured_outputs": (dict(extra_body={"structured_outputs": {"regex": "a"}}), "structured_outputs", "not supp"),
    "type": (dict(extra_body={"max_tokens": "many"}), "body.max_tokens", "type_error"),
    "part": (
        dict(messages=[{"role": "user", "content": [{"type": "hologram", "hologram": 1}]}]), "messages",
        "Unsupported chat content part type: 'hologram'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_fields(client, case):
    fields, param, message = BAD[case]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": MODEL, "messages": HELLO, "max_tokens": 4, **fields})
    assert caught.value.param == param, caught.value.body
    assert message in caught.value.message, caught.value.body
    assert caught.value.body["code"] == 400


def test_errors_of_a_stream_come_as_a_status(client):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=HELLO, temperature=9, stream=True)


def test_errors_reach_langchain(tiny):
    chat = users_page(tiny, True)
    chat.temperature = 9
    with pytest.raises(openai.BadRequestError, match="temperature"):
        chat.invoke("你是谁?")


@pytest.mark.parametrize("body,status", [
    (b"{", 400), (b"[1]", 400), (b"\xff\xfe", 400), (b"", 400), (b'{"messages":' + b"[" * 600, 400),
    (b'{"messages":[{"role":"user","content":"\\ud800"}]}', 400),
])
def test_bad_json(tiny, body, status):
    answer = tiny.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["code"] == status


def test_wrong_content_type(tiny):
    answer = tiny.http.post("/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 400 and "application/json" in answer.json()["error"]["message"]


def test_unknown_route_and_method(tiny):
    assert tiny.http.get("/v1/nothing").status_code == 404
    answer = tiny.http.get("/v1/chat/completions")
    assert answer.status_code == 405 and "POST" in answer.headers["allow"]


def test_a_body_beyond_the_limit(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x" * (33 << 20)}])
    assert caught.value.status_code == 413 and caught.value.body["code"] == 413


def test_key(servers):
    server = servers["with-key"]
    for key in ("EMPTY", "sesam", "sesamee"):
        with pytest.raises(openai.AuthenticationError) as caught:
            client_of(server, api_key=key).chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.status_code == 401
        with pytest.raises(openai.AuthenticationError):
            client_of(server, api_key=key).models.list()
    assert client_of(server, api_key="sesame").chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)
    assert server.http.get("/health").status_code == 200
    # The log shows that a key is set, not which.
    assert "sesame" not in server.log()


def test_a_full_queue_is_a_503_that_says_when_to_come_again(servers):
    server = servers["small-queue"]
    client = client_of(server)
    long = dict(model=MODEL, messages=HELLO, max_tokens=3000, stream=True, extra_body={"ignore_eos": True})
    running = client.chat.completions.create(**long)
    next(iter(running))

    async def wait_in_line():
        import asyncio

        async with async_client_of(server) as other:
            waiting = asyncio.create_task(other.chat.completions.create(**long))
            for _ in range(400):
                if server.metric("vllm:num_requests_waiting"):
                    break
                await asyncio.sleep(0.02)
            assert server.metric("vllm:num_requests_waiting") == 1
            with pytest.raises(openai.InternalServerError) as caught:
                await other.chat.completions.create(**long)
            running.close()
            stream = await waiting
            async for _ in stream:
                break
            await stream.close()
            return caught.value

    import asyncio

    error = asyncio.run(wait_in_line())
    assert error.status_code == 503 and int(error.response.headers["retry-after"]) >= 1
    assert "currently busy" in error.message
    server.wait_idle()
    # A client that retries, as all do by default, is served.
    assert client.with_options(max_retries=2).chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)


def test_duplicate_keys_are_refused(tiny):
    body = json.dumps({"model": MODEL, "messages": HELLO})[:-1] + ',"model":"x"}'
    answer = tiny.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
