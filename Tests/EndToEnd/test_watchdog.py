"""An engine that stands still: told in the log, shown by the probes, and ended so that nobody waits for ever."""

import json
import os
import queue
import signal
import threading
import time

import httpx
import pytest

from frozen import Frozen
from server import MODEL, Server, tiny_arguments

#: Seconds until the process gives up; 90 unless told otherwise, which `make verify-parallel` runs once.
SCALE = float(os.environ.get("MARTLET_WATCHDOG_SECONDS", "9"))
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "long"}], "stream": True, "ignore_eos": True,
        "max_tokens": 4000}


def read_stream(server, lines):
    """Puts each event of a long answer into `lines`, and None at its end."""
    with httpx.stream("POST", f"{server.url}/chat/completions", json=BODY, timeout=10 + 3 * SCALE,
                      trust_env=False) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                lines.put(line[6:])
    lines.put(None)


@pytest.fixture
def server():
    server = Server(tiny_arguments("--watchdog-timeout", f"{SCALE:g}"))
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()


def streaming(server):
    """A stream whose first tokens have come."""
    lines = queue.Queue()
    threading.Thread(target=read_stream, args=(server, lines), daemon=True).start()
    for _ in range(3):
        assert lines.get(timeout=60)
    return lines


def test_an_engine_that_stands_still_is_given_up(server):
    lines = streaming(server)
    live = {}
    with Frozen(server.process.pid, "martlet-engine") as frozen:
        start = time.monotonic()
        while not frozen.is_gone():
            seconds = time.monotonic() - start
            assert seconds < SCALE * 1.5 + 10, "it is still there"
            try:
                status = httpx.get(f"{server.root}/livez", timeout=5, trust_env=False).status_code
                live.setdefault(status, seconds)
            except httpx.TransportError:
                pass
            time.sleep(SCALE / 90)
        seconds = time.monotonic() - start
    assert server.process.wait(10) == 70, server.log()
    assert live[200] < SCALE / 9
    assert SCALE * 0.6 < live[503] < SCALE * 2 / 3 + 5, live
    assert SCALE * 0.9 < seconds < SCALE + 5, seconds
    events = []
    while (line := lines.get(timeout=10)) is not None:
        events.append(line)
    assert "error" in json.loads([event for event in events if event != "[DONE]"][-1]), events[-3:]
    log = server.log()
    assert "WARNING" in log and "has made no progress for" in log
    assert "is given up" in log
    print(f"watchdog: /livez 503 after {live[503]:.1f} s, exit 70 after {seconds:.1f} s of {SCALE:g}")


def test_a_short_silence_is_forgiven(server):
    lines = streaming(server)
    with Frozen(server.process.pid, "martlet-engine"):
        time.sleep(SCALE / 3)
    while (line := lines.get(timeout=60)) is not None:
        last = line
    assert last == "[DONE]"
    log = server.log()
    assert "has made no progress for" in log and "makes progress again" in log
    assert server.stop() == 0


def test_a_process_that_was_stopped_does_not_blame_itself(server):
    lines = streaming(server)
    os.kill(server.process.pid, signal.SIGSTOP)
    time.sleep(SCALE * 1.3)
    os.kill(server.process.pid, signal.SIGCONT)
    while (line := lines.get(timeout=60)) is not None:
        last = line
    assert last == "[DONE]"
    assert server.stop() == 0
