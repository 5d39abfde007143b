"""Starts that can't be: each says why in words, and nobody waits."""

import socket

from ranks import RankServer, binary, free_port, refused, tiny_arguments
from server import refused as refused_alone

SECONDS = 20


def tiny(*more):
    return tiny_arguments("--host", "127.0.0.1", "--port", str(free_port()), *more)


def expect(found, *words):
    status, output, seconds = found
    assert status != 0, output
    for text in words:
        assert text in output, f"{text!r} is not in:\n{output}"
    assert seconds < SECONDS, f"{seconds:.1f} s:\n{output}"
    assert "Fatal error" not in output and "Segmentation" not in output


def test_open_mpi_is_missing():
    expect(refused([(2, tiny("-tp", "2"))], {"MARTLET_MPI_LIBRARY": "/nonexistent/libmpi.so"}),
           "Ranks in several processes need Open MPI", "apt-get install openmpi-bin libopenmpi3")


def test_another_mpi():
    expect(refused([(2, tiny("-tp", "2"))], {"MARTLET_MPI_LIBRARY": "libm.so.6"}), "is not Open MPI")


def test_without_open_mpi_one_process_serves():
    """Nothing of MPI is looked for unless ranks are processes."""
    from ranks import Server
    server = Server(tiny_arguments("-tp", "2"), {"MARTLET_MPI_LIBRARY": "/nonexistent/libmpi.so"})
    assert server.ask("hello", max_tokens=2)
    assert server.stop() == 0


def test_asked_for_without_a_launcher():
    status, output = refused_alone(tiny("-tp", "2", "--distributed-executor-backend", "mpi"))
    assert status == 2 and "mpirun -np 2 martlet serve" in output, output


def test_threads_are_asked_for_under_a_launcher():
    """`mp` means one process, whoever starts it."""
    server = RankServer(1, tiny_arguments("-tp", "2", "--distributed-executor-backend", "mp"))
    assert server.ask("hello", max_tokens=2)
    assert server.stop() == 0, server.log()


def test_another_number_of_ranks():
    expect(refused([(3, tiny("-tp", "2"))]),
           "3 ranks were started, and --tensor-parallel-size 2 times --pipeline-parallel-size 1 makes 2")


def test_copies():
    expect(refused([(2, tiny("-tp", "2", "-dp", "2"))]),
           "2 ranks were started, and --tensor-parallel-size 2 times --pipeline-parallel-size 1 times "
           "--data-parallel-size 2 makes 4")


def test_ranks_that_are_told_different_things():
    port = str(free_port())

    def told(*more):
        return (1, tiny_arguments("--port", port, "-tp", "2", *more))

    expect(refused([told(), told("--dtype", "float16")]), "rank 1: --dtype is f16 there and auto on rank 0")
    expect(refused([told(), told("--max-num-batched-tokens", "64")]),
           "rank 1: --max-num-batched-tokens is 64 there and 512 on rank 0")


def test_the_port_is_taken():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        arguments = tiny_arguments("--host", "127.0.0.1", "--port", str(port), "-tp", "2")
        expect(refused([(2, arguments)]), f"Port {port} on 127.0.0.1 is already in use")


def test_a_model_that_one_rank_does_not_have():
    port = str(free_port())
    missing = ["--model", "/nonexistent/model", "--load-format", "dummy", "--port", port, "-tp", "2",
               "--served-model-name", "m"]
    expect(refused([(1, tiny_arguments("--port", port, "-tp", "2")), (1, missing)]), "rank 1: ", "/nonexistent/model")
    expect(refused([(1, missing), (1, tiny_arguments("--port", port, "-tp", "2"))]), "rank 0: ", "/nonexistent/model")


def test_more_memory_than_there_is():
    """Found when the weights are there: rank 0 tells the others."""
    expect(refused([(2, tiny("-tp", "2", "--max-model-len", "4096", "--kv-cache-memory-bytes", "100000"))]),
           "rank 0: The KV cache holds")


def test_the_table_of_sums():
    """bench-ranks compares the bits of every sum before it measures it."""
    import subprocess
    from ranks import MPIRUN
    done = subprocess.run([*MPIRUN, "-np", "3", binary(), "bench-ranks", "--repeats", "1", "--sizes", "4,68,4096,65540"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert len([line for line in done.stdout.splitlines() if " us " in line]) == 4, done.stdout
