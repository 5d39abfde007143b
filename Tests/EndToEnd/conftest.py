"""The servers that tests share, one process for each set of flags."""

import os

import openai
import pytest
from langchain_openai import ChatOpenAI

from server import HERE, MODEL, Server, tiny_arguments

pytest_plugins = ["counts"]

DEMO = ["--model", str(HERE.parents[1] / "Models/autoglm-phone-tiny"), "--served-model-name", MODEL,
        "--max-model-len", "4096", "--kv-cache-memory-bytes", "200000000"]

CONFIGURATIONS = {
    "tiny": tiny_arguments("--max-num-seqs", "32", "--max-num-queued-reqs", "256"),
    "string-format": tiny_arguments("--chat-template-content-format", "string"),
    "short-context": tiny_arguments("--max-model-len", "1024"),
    "with-key": tiny_arguments("--api-key", "sesame"),
    "small-queue": tiny_arguments("--max-num-seqs", "1", "--max-num-queued-reqs", "1"),
    # 24 blocks of 16 tokens: two or three streams fill them.
    "small-cache": tiny_arguments(
        "--max-model-len", "256", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "400000"),
    "small-chunks": tiny_arguments("--max-num-batched-tokens", "16"),
    "single-rows": tiny_arguments("--max-num-batched-tokens", "1", "--max-num-seqs", "1", "--threads", "1"),
    "whole-prompts": tiny_arguments(
        "--no-enable-chunked-prefill", "--max-model-len", "256", "--block-size", "32", "--scheduling-policy", "priority"),
    "no-cache": tiny_arguments("--no-enable-prefix-caching", "--long-prefill-token-threshold", "7"),
    "scalar": tiny_arguments("--isa", "scalar"),
    "two-ranks": tiny_arguments("--tensor-parallel-size", "2"),
    "two-engines": tiny_arguments("--data-parallel-size", "2", "--data-parallel-size-local", "2"),
    "four-ranks": tiny_arguments("-tp", "4", "--mm-encoder-tp-mode", "data", "--max-num-batched-tokens", "16"),
    "two-stages": tiny_arguments("--pipeline-parallel-size", "2", "--max-num-batched-tokens", "16"),
    "ranks-in-stages": tiny_arguments("-tp", "2", "-pp", "2", "--pipeline-layer-partition", "1,1"),
    # The plain kernels: however fast the machine, a picture takes them many intervals.
    "keep-alive": tiny_arguments("--sse-keep-alive-interval", "0.02", "--max-num-batched-tokens", "64",
                                 "--isa", "scalar"),
    "demo": DEMO,  # with the best kernels of this CPU
    "demo-no-prefill-ahead": [*DEMO, "--no-prefill-next-turn"],
    "demo-avx2": [*DEMO, "--isa", "avx2"],
    "demo-scalar": [*DEMO, "--isa", "scalar"],
    "smollm2": ["--model", os.environ.get("MARTLET_SMOLLM2", ""), "--served-model-name", MODEL, "--max-model-len", "256",
                "--max-num-seqs", "4"],
}


class Servers:
    def __init__(self):
        self.running = {}

    def __getitem__(self, name):
        if name not in self.running:
            self.running[name] = Server(CONFIGURATIONS[name])
        return self.running[name]


@pytest.fixture(scope="session")
def servers():
    servers = Servers()
    yield servers
    failures = []
    for name, server in servers.running.items():
        status = server.stop()
        if status != 0 or server.stack_trap():
            failures.append(f"{name}: exit {status}\n{server.log()[-2000:]}")
    assert not failures, "\n".join(failures)


@pytest.fixture
def tiny(servers):
    """The tiny checkpoint, alive before and after each test."""
    server = servers["tiny"]
    yield server
    assert server.http.get("/health").status_code == 200
    server.wait_idle()


@pytest.fixture
def smollm2(servers):
    return servers["smollm2"]


@pytest.fixture
def client(tiny):
    return client_of(tiny)


def client_of(server, **options):
    return openai.OpenAI(base_url=server.url, api_key=options.pop("api_key", "EMPTY"), max_retries=0, timeout=120, **options)


def async_client_of(server):
    return openai.AsyncOpenAI(base_url=server.url, api_key="EMPTY", max_retries=0, timeout=120)


def users_page(server, streaming):
    """The snippet of the user's page, word for word but for the address."""
    return ChatOpenAI(
        model="autoglm-phone-9b",
        temperature=0.5,
        base_url=server.url,
        api_key="EMPTY",
        extra_body={"enable_thinking": True, "return_reasoning": True},
        streaming=streaming,
    )
