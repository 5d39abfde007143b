"""Input that means harm: nothing but a 4xx comes of it, and the next request is served."""

import json
import random
import socket

import httpx
import pytest

from pictures import data_url, picture
from server import MODEL

GOLDEN = {
    "model": MODEL, "max_tokens": 2, "temperature": 0.5, "top_p": 0.9, "n": 1, "stop": ["a", "b"], "seed": 3,
    "logit_bias": {"32": 1.5}, "stream": False, "logprobs": True, "top_logprobs": 2, "presence_penalty": 0.1,
    "messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "你好"},
                                     {"type": "image_url", "image_url": {"url": data_url(picture(28, 28))}}]},
        {"role": "assistant", "content": "<think>a</think><answer>b"},
        {"role": "user", "content": "go on"},
    ],
}

ODD = [None, True, -1, 0, 1e308, -1e308, 2**31, 2**63, -2**63 - 1, 1e-320, "", "x", "\x00", [], {}, [[]], [None], {"a": 1}]


def places(value, path=()):
    """Every place inside a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


def harmless(answer):
    """A success, or an error of the documented shape that says little."""
    assert answer.status_code < 500 or answer.status_code == 501, answer.text
    if answer.status_code == 200:
        return
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["code"] == answer.status_code
    assert len(error["message"].encode()) <= 600


def test_odd_values_everywhere(tiny):
    count = 0
    for path in places(GOLDEN):
        for odd in ODD:
            body = json.dumps(replaced(GOLDEN, path, odd)).encode()
            harmless(tiny.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"}))
            count += 1
    assert count >= 500


def test_damaged_bytes(tiny):
    chance = random.Random(5)
    golden = json.dumps(GOLDEN, ensure_ascii=False).encode()
    for _ in range(300):
        body = bytearray(golden)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(body))
            match chance.randrange(3):
                case 0: body[at] = chance.randrange(256)
                case 1: del body[at:at + chance.randint(1, 9)]
                case 2: body[at:at] = chance.choice([b"[", b"{", b'"', b"\\u", b"\xff", b"1e999", b",", b"}"])
        harmless(tiny.http.post(
            "/v1/chat/completions", content=bytes(body), headers={"content-type": "application/json"}))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_damaged_pictures(tiny, format):
    chance = random.Random(6)
    import base64
    head, encoded = data_url(picture(56, 56), format).split(",")
    file = base64.b64decode(encoded)
    for index in range(60):
        damaged = bytearray(file)
        if index % 2:
            del damaged[len(file) * index // 64:]
        else:
            for _ in range(8):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        url = f"{head},{base64.b64encode(bytes(damaged)).decode()}"
        answer = tiny.http.post("/v1/chat/completions", json={"model": MODEL, "max_tokens": 1, "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]})
        harmless(answer)


def test_nothing_is_fetched(tiny):
    """Not one connection leaves the server, whatever the URL looks like."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "[::ffff:127.0.0.1]", "a@127.0.0.1",
                     "127.0.0.1\\@a.example"):
            for scheme in ("http", "https", "HTTP", "ftp", "gopher"):
                answer = tiny.http.post("/v1/chat/completions", json={"model": MODEL, "messages": [{"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": f"{scheme}://{host}:{port}/a.png"}}]}]})
                assert answer.status_code == 400, answer.text
        with pytest.raises(BlockingIOError):
            listener.accept()


def raw(server, data):
    """What comes back for raw bytes, until the server closes or two seconds have passed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while block := connection.recv(65536):
                answer += block
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


@pytest.mark.parametrize("head", [
    b"".join(b"x-%d: y\r\n" % index for index in range(200)),
    b"x: " + b"y" * (17 << 10) + b"\r\n",
    b"content-length: 5\r\ncontent-length: 6\r\n",
    b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
    b"content-length: -1\r\n",
    b"bad header\r\n",
])
def test_bad_heads(tiny, head):
    answer = raw(tiny, b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n" + head + b"\r\n")
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"413", b"431"), answer[:200]


def test_a_body_that_never_comes_whole(tiny):
    with httpx.Client(base_url=tiny.root, timeout=1, trust_env=False) as client:
        def body():
            yield b'{"messages":['
            raise httpx.WriteError("gone")
        with pytest.raises(httpx.TransportError):
            client.post("/v1/chat/completions", content=body(), headers={"content-type": "application/json"})
