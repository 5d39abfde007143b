"""Two hosts: two network namespaces with a cable between them, and mpirun over TCP."""

import os
import pathlib
import signal
import subprocess
import tempfile

import pytest

from golden import ask, compare, questions
from ranks import MPIRUN, RankServer, Server, binary, tiny_arguments
from test_faults import LOST, NOTICE_SECONDS, TELL_SECONDS, strike

PREFIX = "10.213.77"


def run(line):
    subprocess.run(line.split(), check=True)


class Hosts:
    """`ALICE` is .1 and `BERTA` .2; the test itself is .254, on the switch between them."""

    def __init__(self):
        self.name = f"mt{os.getpid() % 10000}"
        self.directory = tempfile.TemporaryDirectory(prefix="martlet-hosts-")
        run(f"ip link add {self.name}s type bridge")
        run(f"ip addr add {PREFIX}.254/24 dev {self.name}s")
        run(f"ip link set {self.name}s up")
        for host in (1, 2):
            space, cable = f"{self.name}-{host}", f"{self.name}c{host}"
            run(f"ip netns add {space}")
            run(f"ip link add {cable} type veth peer name eth0 netns {space}")
            run(f"ip link set {cable} master {self.name}s up")
            run(f"ip -n {space} addr add {PREFIX}.{host}/24 dev eth0")
            run(f"ip -n {space} link set eth0 up")
            run(f"ip -n {space} link set lo up")
        # In the place of ssh: a host's name, then what is to run there.
        self.shell = pathlib.Path(self.directory.name) / "shell"
        self.shell.write_text(f'#!/bin/sh\nhost="$1"\nshift\nexec ip netns exec "{self.name}-${{host##*.}}" sh -c "$*"\n')
        self.shell.chmod(0o755)

    @property
    def mpirun(self):
        return ["--mca", "plm_rsh_agent", str(self.shell), "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include",
                f"{PREFIX}.0/24", "--mca", "oob_tcp_if_include", f"{PREFIX}.0/24", "-H", f"{PREFIX}.1:1,{PREFIX}.2:1"]

    def remove(self):
        for host in (1, 2):
            subprocess.run(["ip", "netns", "del", f"{self.name}-{host}"])
        subprocess.run(["ip", "link", "del", f"{self.name}s"])


@pytest.fixture(scope="module")
def hosts():
    found = Hosts()
    yield found
    found.remove()


class HostServer(RankServer):
    """mpirun runs on the first host, and so does rank 0."""

    def __init__(self, hosts, arguments):
        self.hosts = hosts
        super().__init__(2, arguments, mpirun=hosts.mpirun, address=f"{PREFIX}.1",
                         enter=["ip", "netns", "exec", f"{hosts.name}-1"])


@pytest.mark.parametrize("arguments", ["-tp 2", "-pp 2"])
def test_a_server_over_two_hosts(hosts, figure, arguments):
    alone = Server(tiny_arguments())
    bodies = questions(seeing=True)
    expected = [ask(alone, body) for body in bodies]
    assert alone.stop() == 0
    server = HostServer(hosts, tiny_arguments(*arguments.split(), "--rank-link-host", f"{PREFIX}.1"))
    try:
        spaces = {rank: os.readlink(f"/proc/{pid}/ns/net") for rank, pid in server.processes().items()}
        assert len(set(spaces.values())) == 2 and os.readlink("/proc/self/ns/net") not in spaces.values(), spaces
        worst = compare(server, expected, bodies, arguments)
    finally:
        status = server.stop()
    assert status == 0, server.log()
    assert server.statuses() == {0: 0, 1: 0}, server.log()
    figure(f"tiny GLM-4.1V over two hosts, {arguments}: largest difference {worst:.1e}")


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=lambda blow: blow.name)
def test_a_host_is_lost(hosts, figure, blow):
    """As on one host, whatever MPI does about a connection of its own that is gone."""
    arguments = tiny_arguments("-tp", "2", "--rank-link-host", f"{PREFIX}.1")
    streams, struck, ended, server = strike(blow, rank=1, start=lambda: HostServer(hosts, arguments))
    for stream in streams:
        assert stream.error == LOST, (stream.error, stream.failure, server.log())
    assert server.statuses().get(0) == 70, (server.statuses(), server.log())
    told = max(stream.ended for stream in streams) - struck
    figure(f"{blow.name} of a rank on the other host: last stream told after {told:.2f} s, all gone after {ended:.2f} s")
    assert told <= NOTICE_SECONDS + TELL_SECONDS


def test_rank_0_at_its_own_loopback_is_refused(hosts):
    done = subprocess.run(
        ["ip", "netns", "exec", f"{hosts.name}-1", *MPIRUN, *hosts.mpirun, "-np", "2", binary(), "serve",
         *tiny_arguments("-tp", "2")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60)
    assert done.returncode != 0
    assert "--rank-link-host ADDRESS" in done.stdout, done.stdout
