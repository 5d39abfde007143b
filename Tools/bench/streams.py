"""Streamed completions asked over bare sockets: a client shares the processors with the server that it measures, so it
keeps what comes and reads it when all is over."""

import asyncio
import http.client
import io
import json
import time
import urllib.parse

FIRST, LAST = b"data: {", b"data: [DONE]"


class Kept:
    """Received bytes, as what the standard library reads an answer from."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return io.BytesIO(self.data)


class Exchange(asyncio.Protocol):
    """One request on a connection of its own. `head`, `first` and `last`: when the first byte, the first event and the
    end of all came."""

    def __init__(self, request, ended):
        self.request, self.ended, self.transport = request, ended, None
        self.pieces, self.head, self.first, self.last = [], None, None, None

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        self.head = self.head or time.monotonic()
        self.pieces.append(data)
        if self.first is None and FIRST in data:
            self.first = time.monotonic()
        if LAST in data:
            self.last = time.monotonic()
            self.transport.close()

    def connection_lost(self, _):
        self.last = self.last or time.monotonic()
        if not self.ended.done():
            self.ended.set_result(None)

    def answer(self):
        """The answer's head, as the standard library has it, and as much of its body as came; raises
        `http.client.HTTPException` where there is no head."""
        answer = http.client.HTTPResponse(Kept(b"".join(self.pieces)))
        answer.begin()
        try:
            return answer, answer.read()
        except http.client.IncompleteRead as rest:
            # The connection was closed before the end of the body: behind the last event, or too early.
            return answer, rest.partial

    def events(self):
        """The stream's JSON events; raises for an answer that is none."""
        answer, text = self.answer()
        if answer.status != 200:
            raise SystemExit(f"HTTP {answer.status}: {text[:500].decode(errors='replace')}")
        return [json.loads(line[6:]) for line in text.split(b"\n") if line.startswith(FIRST)]


async def completion(url, prompt, count, model="model"):
    """`count` tokens behind `prompt` (ids): seconds to the first token and to the last."""
    body = json.dumps({
        "model": model, "prompt": prompt, "max_tokens": count, "temperature": 0, "stream": True, "ignore_eos": True,
        "stream_options": {"include_usage": True}}).encode()
    place = urllib.parse.urlsplit(url)
    head = (f"POST /v1/completions HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    loop = asyncio.get_running_loop()
    ended, begun = loop.create_future(), time.monotonic()
    _, exchange = await loop.create_connection(
        lambda: Exchange(head.encode() + body, ended), place.hostname, place.port)
    await asyncio.wait_for(ended, 600)
    events = exchange.events()
    if not events or not events[0].get("choices"):
        raise SystemExit(f"{url}: the first event brings no token")
    tokens = [event["usage"]["completion_tokens"] for event in events if event.get("usage")]
    if tokens[-1:] != [count]:
        raise SystemExit(f"{url}: {tokens[-1:]} tokens of {count}")
    return exchange.first - begun, exchange.last - begun
