"""One server process: started on a free port, watched while it starts, stopped at the end."""

import base64
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE / "tiny-glm4v"
MODEL = "autoglm-phone-9b"


def binary():
    """The server; run.sh names it."""
    return os.environ["MARTLET_BINARY"]


def free_port():
    """A port that nobody holds, below those that the system gives to whoever asks for any: mpirun, say, meanwhile."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            # As the server binds.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def tiny_arguments(*more):
    """The tiny checkpoint with weights that the server makes up."""
    return [
        "--model", str(TINY), "--load-format", "dummy", "--served-model-name", MODEL, "glm-tiny",
        "--kv-cache-memory-bytes", "64000000", "--sse-keep-alive-interval", "0", *more,
    ]


class Server:
    """`martlet serve`, or `program`, with `arguments`, on `port` of `address` or a free one; ready when the constructor
    returns, or gone with its log in the failure."""

    def __init__(self, arguments, environment=None, start_seconds=120, program=None, port=None,
                 address="127.0.0.1"):
        self.port = port or free_port()
        self.log_file = tempfile.NamedTemporaryFile(prefix="martlet-e2e-", suffix=".log", delete=False)
        command = [*(program or [binary(), "serve"]), *arguments, "--host", address, "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, stdout=self.log_file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})})
        self.root = f"http://{address}:{self.port}"
        self.url = self.root + "/v1"
        # A key opens /metrics too, where keys are set.
        key = arguments[arguments.index("--api-key") + 1] if "--api-key" in arguments else "EMPTY"
        self.http = httpx.Client(
            base_url=self.root, timeout=60, trust_env=False, headers={"authorization": f"Bearer {key}"})
        deadline = time.monotonic() + start_seconds
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            try:
                if self.http.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"the server was not ready after {start_seconds} s:\n{self.log()}")
            time.sleep(0.05)

    def log(self):
        return pathlib.Path(self.log_file.name).read_text(errors="replace")

    def ask(self, text, picture=None, form="PNG", **more):
        """One greedy question, with the bytes of a picture before it; the message of the reply."""
        parts = [{"type": "text", "text": text}]
        if picture:
            url = f"data:image/{form.lower()};base64,{base64.b64encode(picture).decode()}"
            parts.insert(0, {"type": "image_url", "image_url": {"url": url}})
        body = {"model": MODEL, "messages": [{"role": "user", "content": parts}], "temperature": 0, "max_tokens": 64}
        answer = self.http.post("/v1/chat/completions", json={**body, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]

    def metrics(self):
        """`/metrics` through Prometheus' own parser: (name, labels without the model's) -> sum over engines."""
        page = self.http.get("/metrics")
        assert page.status_code == 200, page.text
        values = {}
        for family in text_string_to_metric_families(page.text):
            for sample in family.samples:
                labels = {k: v for k, v in sample.labels.items() if k not in ("model_name", "engine")}
                key = sample.name, tuple(sorted(labels.items()))
                values[key] = values.get(key, 0) + sample.value
        return values

    def metric(self, name, **labels):
        return self.metrics()[name, tuple(sorted(labels.items()))]

    def wait_idle(self, seconds=10):
        """Nothing runs or waits, and no sequence holds a block; the failure shows what is left."""
        deadline = time.monotonic() + seconds
        names = ("vllm:num_requests_running", "vllm:num_requests_waiting", "martlet:kv_blocks_used",
                 "vllm:kv_cache_usage_perc")
        while True:
            values = {name: self.metric(name) for name in names}
            if not any(values.values()):
                return
            assert time.monotonic() < deadline, f"not idle after {seconds} s: {values}"
            time.sleep(0.02)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds=60):
        """Asks it to end and gives the exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end {seconds} s after SIGTERM:\n{self.log()[-4000:]}") from None
        finally:
            self.log_file.close()

    def stack_trap(self):
        """A line of the log that tells of a trap, or None."""
        found = re.search(r"Fatal error|Illegal instruction|crashed", self.log())
        return found and found.group(0)


def refused(arguments, seconds=60):
    """(exit status, output) of a server that must not come up."""
    done = subprocess.run(
        [binary(), "serve", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=seconds, text=True, errors="replace")
    return done.returncode, done.stdout
