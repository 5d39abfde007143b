"""Over processes a model says what it says in one."""

import os

import pytest

from golden import ask, compare, questions
from ranks import MODEL, RankServer, Server, refused, tiny_arguments

SMOLLM2 = ["--model", os.environ.get("MARTLET_SMOLLM2", ""), "--served-model-name", MODEL, "--max-model-len", "256",
           "--max-num-seqs", "4", "--activations", "f32", "--kv-cache-dtype", "f32"]


@pytest.fixture(scope="module")
def alone():
    """Answers of one process, one rank, by model."""
    answers = {}
    for name, arguments in (("tiny", tiny_arguments()), ("smollm2", SMOLLM2)):
        server = Server(arguments)
        answers[name] = [ask(server, body) for body in questions(seeing=name == "tiny")]
        assert server.stop() == 0
    return answers


def answers_by_engine(server):
    """How many requests each engine has finished."""
    page = server.http.get("/metrics").text
    return [float(line.split()[-1]) for line in page.splitlines()
            if line.startswith("vllm:request_success_total{") and 'finished_reason="length"' in line]


@pytest.mark.parametrize("count,arguments", [
    (2, "-tp 2"), (2, "-tp 2 --max-num-batched-tokens 16"),
    (4, "-tp 4 --mm-encoder-tp-mode data --max-num-batched-tokens 16"),
    (2, "-pp 2"), (2, "-pp 2 --max-num-batched-tokens 16"), (4, "-tp 2 -pp 2"),
    (2, "-dp 2"), (4, "-dp 2 -tp 2"), (4, "-dp 2 -pp 2 --max-num-batched-tokens 16"),
])
def test_tiny_glm4v(alone, figure, count, arguments):
    server = RankServer(count, tiny_arguments(*arguments.split()))
    try:
        assert sorted(server.processes()) == list(range(count))
        worst = compare(server, alone["tiny"], questions(seeing=True), arguments)
        server.wait_idle()
        answers = answers_by_engine(server)
    finally:
        status = server.stop()
    assert status == 0, server.log()
    assert server.statuses() == {rank: 0 for rank in range(count)}, server.log()
    assert len(answers) == (2 if "-dp" in arguments else 1) and all(answers), answers
    assert f"Model loaded on {count} CPU ranks" in server.log()
    figure(f"tiny GLM-4.1V, mpirun -np {count}, {arguments}: largest difference {worst:.1e}")


@pytest.mark.parametrize("count,arguments", [(3, "-tp 3"), (2, "-pp 2"), (3, "-pp 3")])
def test_smollm2(alone, figure, count, arguments):
    server = RankServer(count, [*SMOLLM2, *arguments.split()])
    try:
        worst = compare(server, alone["smollm2"], questions(seeing=False), arguments)
    finally:
        status = server.stop()
    assert status == 0, server.log()
    figure(f"SmolLM2, mpirun -np {count}, {arguments}: largest difference {worst:.1e}")


def test_smollm2_over_two_is_refused():
    status, output, seconds = refused([(2, [*SMOLLM2, "-tp", "2"])])
    assert status != 0 and seconds < 30
    assert "--tensor-parallel-size 2 does not suit this model" in output
    assert "Sizes that work: 1, 3" in output, output
