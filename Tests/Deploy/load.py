"""Load on a server or a proxy: clients that ask one request after another, and what became of each request."""

import asyncio
import base64
import dataclasses
import http.client
import io
import json
import random
import time

from PIL import Image

from server import MODEL
from streams import Exchange


def request(text, tokens, streams, picture=None):
    """The bytes of one chat completion of exactly so many tokens, on a connection of its own."""
    content = [{"type": "text", "text": text}]
    if picture:
        content.insert(0, {"type": "image_url", "image_url": {"url": picture}})
    body = json.dumps({
        "model": MODEL, "messages": [{"role": "user", "content": content}], "max_tokens": tokens, "ignore_eos": True,
        "stream": streams, "temperature": 0}).encode()
    return post("/v1/chat/completions", body)


def post(path, body, *fields):
    """The bytes of a POST of `body`, with more header fields if there are any."""
    head = (f"POST {path} HTTP/1.1", "Host: martlet", "Content-Type: application/json",
            f"Content-Length: {len(body)}", "Connection: close", *fields)
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def noise(seed, side=612):
    """A picture that no format makes smaller, as a data URL: 1.5 MB at this size."""
    image = Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(side * side * 3))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@dataclasses.dataclass
class Answer:
    """One request from its beginning to its end, in seconds of the monotonic clock.

    `verdict`: complete; refused (another status than 200); broken (ended after the head of a 200, with an error event
    or without an end); unanswered (ended before a head); hung (open when its deadline came).
    """

    begun: float
    ended: float
    head: float | None
    verdict: str
    status: int | None = None
    fields: dict = dataclasses.field(default_factory=dict)
    text: bytes = b""

    @property
    def is_started(self):
        """The client has seen the head of an answer."""
        return self.verdict in ("complete", "broken") or (self.verdict == "hung" and self.status == 200)


async def ask(port, data, deadline=60):
    """Sends `data` to a port of this host and reads what comes, for so many seconds at most."""
    loop = asyncio.get_running_loop()
    ended, begun = loop.create_future(), time.monotonic()
    exchange = Exchange(data, ended)
    hung = False
    try:
        async with asyncio.timeout(deadline):
            await loop.create_connection(lambda: exchange, "127.0.0.1", port)
            await ended
    except TimeoutError:
        hung = True
    except OSError:
        pass
    finally:
        if exchange.transport:
            exchange.transport.abort()
    answer = Answer(begun, exchange.last or time.monotonic(), exchange.head, "hung" if hung else "unanswered")
    try:
        head, text = exchange.answer()
    except (http.client.HTTPException, ValueError):
        return answer
    answer.status, answer.text = head.status, text
    answer.fields = {name.lower(): value for name, value in head.getheaders()}
    if not hung:
        answer.verdict = "refused" if head.status != 200 else "complete" if is_whole(answer) else "broken"
    return answer


def is_whole(answer):
    """The body is a completion's from its beginning to its end."""
    if answer.fields.get("content-type", "").startswith("text/event-stream"):
        return answer.text.endswith(b"data: [DONE]\n\n") and b'data: {"error"' not in answer.text
    try:
        return "choices" in json.loads(answer.text)
    except ValueError:
        return False


class Load:
    """`width` clients that ask `requests` in turn until the block ends, each waiting for its answer; all are in
    `answers` afterwards."""

    def __init__(self, port, requests, width, deadline=60):
        self.port, self.requests, self.width, self.deadline = port, requests, width, deadline
        self.answers, self.open, self.stops, self.next = [], {}, False, 0

    async def client(self):
        while not self.stops:
            data = self.requests[self.next % len(self.requests)]
            self.next += 1
            number, self.open[self.next] = self.next, time.monotonic()
            answer = await ask(self.port, data, self.deadline)
            del self.open[number]
            self.answers.append(answer)
            if answer.verdict != "complete":
                # Who is refused asks again, but not at once.
                await asyncio.sleep(0.05)

    async def __aenter__(self):
        self.clients = [asyncio.create_task(self.client()) for _ in range(self.width)]
        return self

    async def __aexit__(self, *_):
        self.stops = True
        await asyncio.gather(*self.clients)

    def count(self, verdict):
        return sum(1 for answer in self.answers if answer.verdict == verdict)
