"""What is wrong with a request is wrong behind the proxy too: the same status and error, direct and through it."""

import asyncio
import json

import pytest

from load import ask, post
from server import MODEL

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hi"}]


def chat(**fields):
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 2, "temperature": 0, **fields}
    return post(CHAT, json.dumps(body).encode())


def raw(*lines, body=b""):
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


GOOD = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 2}).encode()
TABLE = {
    "no JSON": post(CHAT, b"{not json"),
    "an empty body": post(CHAT, b""),
    "invalid UTF-8": post(CHAT, b'{"model": "\xff\xfe"}'),
    "a deep body": post(CHAT, b"[" * 100_000),
    "an unknown model": chat(model="nobody"),
    "a wrong type": chat(messages="hi"),
    "a value out of range": chat(temperature=9),
    "a field that is not carried out": chat(tools=[{"type": "function", "function": {"name": "f"}}]),
    "a broken picture": chat(messages=[{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]),
    "a picture from another host": chat(messages=[{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}]}]),
    "too long a prompt": chat(messages=[{"role": "user", "content": "a b " * 50_000}]),
    "another content type": raw(
        f"POST {CHAT} HTTP/1.1", "Host: x", "Connection: close", "Content-Type: text/plain",
        f"Content-Length: {len(GOOD)}", body=GOOD),
    "an unknown path": raw("GET /v1/nothing HTTP/1.1", "Host: x", "Connection: close"),
    "another method": raw(f"GET {CHAT} HTTP/1.1", "Host: x", "Connection: close"),
    "a body larger than is taken": raw(
        f"POST {CHAT} HTTP/1.1", "Host: x", "Connection: close", "Content-Type: application/json",
        "Content-Length: 34000000", body=b" " * 34_000_000),
    "a body in bad chunks": raw(
        f"POST {CHAT} HTTP/1.1", "Host: x", "Connection: close", "Content-Type: application/json",
        "Transfer-Encoding: chunked", body=b"zz\r\nhello\r\n0\r\n\r\n"),
    "two lengths": raw(
        f"POST {CHAT} HTTP/1.1", "Host: x", "Connection: close", "Content-Type: application/json", "Content-Length: 5",
        f"Content-Length: {len(GOOD)}", body=GOOD),
    "no length that is one": raw(
        f"POST {CHAT} HTTP/1.1", "Host: x", "Connection: close", "Content-Type: application/json",
        "Content-Length: -5", body=GOOD),
    "a head that is none": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "a field name with a space": raw("GET /v1/models HTTP/1.1", "Host: x", "Connection: close", "bad name: y"),
    "101 fields": raw("GET /v1/models HTTP/1.1", "Host: x", "Connection: close", *(f"x-{n}: y" for n in range(101))),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_same_verdict(replicas, proxy, name):
    async def main():
        return await ask(replicas.ports[0], TABLE[name], 30), await ask(proxy.port, TABLE[name], 30)

    direct, proxied = asyncio.run(main())
    for answer in (direct, proxied):
        assert answer.verdict == "refused" and 400 <= answer.status < 502 and answer.status != 500, answer
    assert proxied.status == direct.status, (direct, proxied)
    if "x-replica" in proxied.fields:
        assert json.loads(proxied.text) == json.loads(direct.text)


def test_what_is_right_is_right_through_the_proxy(replicas, proxy):
    """The table above is refused for what is wrong with it, and the replicas still serve."""
    async def main():
        return await ask(replicas.ports[0], chat(), 30), await ask(proxy.port, chat(), 30)

    direct, proxied = asyncio.run(main())
    assert direct.verdict == proxied.verdict == "complete"
    assert json.loads(direct.text)["choices"] == json.loads(proxied.text)["choices"]
