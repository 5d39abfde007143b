"""`martlet serve` as several processes under mpirun, started like the server of the end-to-end tests."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time

from server import MODEL, TINY, Server, binary, free_port, tiny_arguments  # noqa: F401

HERE = pathlib.Path(__file__).resolve().parent

# More ranks than processors are allowed, and every rank runs where it likes: what is tested is not speed.
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]


def wait_until(is_there, seconds, what):
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, f"after {seconds} s: {what()}"
        time.sleep(0.01)


def environment_of(pid):
    try:
        entries = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return dict(entry.decode(errors="replace").split("=", 1) for entry in entries if b"=" in entry)


class RankServer(Server):
    """A server of `count` ranks. Everything it starts carries a mark, by which it is found again."""

    def __init__(self, count, arguments, mpirun=(), enter=(), environment=None, **more):
        self.count = count
        self.directory = tempfile.TemporaryDirectory(prefix="martlet-ranks-")
        self.mark = self.directory.name
        program = [*enter, *MPIRUN, *mpirun, "-x", "MARTLET_TEST_MARK", "-np", str(count), str(HERE / "rank.sh"), self.mark,
                   binary(), "serve"]
        super().__init__(
            arguments, program=program, environment={**(environment or {}), "MARTLET_TEST_MARK": self.mark}, **more)

    def processes(self):
        """{rank: pid} of the servers that live."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                # A rank's script has the command of the rank in its own line.
                if not (entry / "cmdline").read_bytes().startswith(binary().encode() + b"\0serve\0"):
                    continue
                if (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    continue
            except OSError:
                continue
            environment = environment_of(entry.name)
            if environment.get("MARTLET_TEST_MARK") == self.mark:
                found[int(environment["OMPI_COMM_WORLD_RANK"])] = int(entry.name)
        return found

    def terminate(self):
        """As systemd does it to a server: rank 0 is asked, and the others follow it."""
        os.kill(self.processes()[0], signal.SIGTERM)

    def statuses(self):
        """{rank: exit status} of the ranks that have ended by themselves."""
        return {int(path.name.removeprefix("exit-")): int(path.read_text() or -1)
                for path in pathlib.Path(self.mark).glob("exit-*")}


def refused(commands, environment=None, seconds=60):
    """(exit status, output, seconds) of ranks that must not come up: [(count, arguments), ...]."""
    line = [*MPIRUN]
    for count, arguments in commands:
        if len(line) > len(MPIRUN):
            line.append(":")
        line += ["-np", str(count), binary(), "serve", *arguments]
    start = time.monotonic()
    done = subprocess.run(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, text=True,
        errors="replace", env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout, time.monotonic() - start
