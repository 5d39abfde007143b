"""What `martlet plan` says that ranks hold, beside what the process then has: weights, KV cache and workspace."""

import json
import re
import subprocess

import pytest

from conftest import client_of
from server import MODEL, TINY, Server, binary

# 0.59 GiB of bf16 behind a tower of next to nothing.
TEXT = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 12, "num_attention_heads": 16,
        "num_key_value_heads": 4, "vocab_size": 65536, "max_position_embeddings": 4096}
CACHE = 96_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("model")
    for file in TINY.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    config = json.loads((TINY / "config.json").read_text())
    config["dtype"] = "bfloat16"
    config["text_config"].update(TEXT)
    config["text_config"]["rope_parameters"]["mrope_section"] = [4, 6, 6]
    config["vision_config"]["out_hidden_size"] = TEXT["hidden_size"]
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def planned(directory, ranks):
    """Bytes of weights and workspace, and of the cache for a token, of all ranks, as the table says."""
    text = subprocess.run(
        [binary(), "plan", str(directory), "--devices", f"{ranks}x8GiB", "--device", "cpu", "-q", "none",
         "--max-model-len", "1024"],
        check=True, capture_output=True, text=True).stdout
    layout = "1 rank" if ranks == 1 else f"TP {ranks}"
    rows = re.findall(rf"^B?F\d+ +{layout} +(\d+)(?:-(\d+))? +0-\d+ +([\d.]+) +([\d.]+) +(\d+) ", text, re.MULTILINE)
    assert len(rows) == 1, text
    first, last, weights, workspace, token = rows[0]
    count = int(last or first) - int(first) + 1
    assert count == ranks, text
    return count * (float(weights) + float(workspace)) * 2**30, count * int(token)


def held(directory, ranks):
    """Anonymous memory of a server that has prefilled, and what was planned."""
    server = Server([
        "--model", str(directory), "--load-format", "dummy", "--served-model-name", MODEL, "--max-model-len", "1024",
        "--kv-cache-memory-bytes", str(CACHE), "--tensor-parallel-size", str(ranks), "--threads", "2"])
    try:
        prompt = [index % 250 for index in range(900)]
        client_of(server).completions.create(model=MODEL, prompt=prompt, max_tokens=2, temperature=0)
        status = open(f"/proc/{server.process.pid}/status").read()
        constant, token = planned(directory, ranks)
        expected = constant + 16 * server.metric("martlet:kv_blocks") * token
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024, expected
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_process_holds_what_was_planned(model, ranks):
    """More than the tiny model's process, which is nearly all program. Workspace that no request has needed yet, a
    screenshot's in the tower among it, is planned and not there."""
    (found, expected), (plain, little) = held(model, ranks), held(TINY, ranks)
    print(f"TP {ranks}: planned {(expected - little) / 1e6:.0f} MB more, held {(found - plain) / 1e6:.0f} MB more")
    assert found - plain == pytest.approx(expected - little, rel=0.15)
