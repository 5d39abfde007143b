"""The units of systemd, the job script of Slurm and the image, and what they say to the server."""

import asyncio
import itertools
import os
import pathlib
import re
import signal
import subprocess

import pytest

from load import ask, noise, request
from processes import DEPLOY, accepted, outcome, substituted, wait_until
from server import Server, binary, tiny_arguments

pytestmark = pytest.mark.files

def verified(folder, change=None):
    """(exit status, output) of systemd's own check, with a server and a user that exist here."""
    for unit in ("martlet.service", "martlet@.service"):
        text = (DEPLOY / "systemd" / unit).read_text()
        text = substituted(text, {"/usr/local/bin/martlet": "/bin/true", "User=martlet": "User=root"})
        (folder / unit).write_text(substituted(text, change or {}))
    return outcome("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", str(folder / "martlet.service"),
               str(folder / "martlet@replica1.service"))


def test_units(tmp_path):
    assert verified(tmp_path) == (0, "")


@pytest.mark.parametrize("change", [
    {"RestartSec=2s": "RestartSecs=2s"}, {"Type=exec": "Type=exce"}, {"TimeoutStopSec=45s": "TimeoutStopSec=soon"}])
def test_units_with_a_mistake(tmp_path, change):
    assert verified(tmp_path, change)[1]


def test_the_template_is_the_service():
    """Line for line, but for the comment in front, its name and its file of flags."""
    def lines(unit):
        text = (DEPLOY / "systemd" / unit).read_text()
        return text[text.index("[Unit]"):].splitlines()

    differing = [
        (one, other) for one, other in itertools.zip_longest(lines("martlet.service"), lines("martlet@.service"))
        if one != other]
    assert [one.split("=")[0] for one, _ in differing] == ["Description", "ExecStart"]
    assert all(other.count("%i") == 1 for _, other in differing)


def test_the_unit_allows_what_a_server_does(tmp_path):
    """Every system call of a start, a request with a picture and a drain is one of the sets that the unit allows."""
    unit = (DEPLOY / "systemd/martlet.service").read_text()
    allowed = allowed_calls(re.search(r"SystemCallFilter=(.*)", unit)[1].split())
    trace = tmp_path / "trace"
    server = Server(
        tiny_arguments(), program=["strace", "-f", "-qq", "--seccomp-bpf", "-o", str(trace), binary(), "serve"])
    assert asyncio.run(ask(server.port, request("look", 5, streams=True, picture=noise(1, 100)))).verdict == "complete"
    # strace hands the signal on only where it is asked to: the server itself gets it.
    children = pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    os.kill(int(children.split()[0]), signal.SIGTERM)
    assert server.process.wait(60) == 0, server.log()
    server.http.close()
    calls = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    assert len(calls) > 20 and {"mmap", "madvise"} <= calls, calls
    assert not calls - allowed, f"{sorted(calls - allowed)} would be refused"
    families = set(re.findall(r"socket\((AF_\w+)", trace.read_text()))
    assert families <= set(re.search(r"RestrictAddressFamilies=(.*)", unit)[1].split()), families


def allowed_calls(names):
    """The system calls of a filter, sets followed."""
    calls = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        lines = accepted("systemd-analyze", "syscall-filter", "--no-pager", name).splitlines()[1:]
        calls |= allowed_calls([line.strip() for line in lines if line.strip() and not line.strip().startswith("#")])
    return calls


SBATCH = str(DEPLOY / "slurm/martlet.sbatch")
FAKE_SRUN = """#!/usr/bin/env bash
echo "srun $*" >> "$CALLS"
while [ "${1#--}" != "$1" ]; do shift; done
SLURMD_NODENAME=first PATH="$FAKES:$PATH" "$@"
"""
FAKE_SERVER = """#!/usr/bin/env bash
trap 'kill $!; echo drained >> "$CALLS"; exit 0' TERM
if [ -n "${WAITS:-}" ]; then sleep 60 & else true & fi
echo "martlet $*" >> "$CALLS"
wait $!
exit "${STATUS:-0}"
"""


def job(folder, arguments=(), **environment):
    """(exit status, output, calls of srun, martlet and scontrol) of the job script, with those three faked."""
    fakes, calls = folder / "bin", folder / "calls"
    fakes.mkdir(exist_ok=True)
    calls.write_text("")
    for name, text in (("srun", FAKE_SRUN), ("martlet", FAKE_SERVER),
                       ("scontrol", '#!/usr/bin/env bash\necho "scontrol $*" >> "$CALLS"\n')):
        (fakes / name).write_text(text)
        (fakes / name).chmod(0o755)
    variables = {
        **os.environ, "PATH": f"{fakes}:{os.environ['PATH']}", "FAKES": str(fakes), "CALLS": str(calls),
        "SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_CPUS_PER_TASK": "16", "MODEL": "/models/m", "TP": "2",
        "PP": "2", **environment}
    status, output = outcome("bash", SBATCH, *arguments, env=variables)
    return status, output, calls.read_text().splitlines()


def test_the_job_script():
    accepted("bash", "-n", SBATCH)
    accepted("shellcheck", SBATCH)


def test_what_the_job_runs(tmp_path):
    status, output, calls = job(tmp_path, ["--max-num-seqs", "32", "--served-model-name", "two words"])
    assert status == 0, output
    assert len(calls) == 2 and calls[0].startswith(
        "srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=16 --cpu-bind=none bash -c")
    assert calls[1] == ("martlet serve /models/m --port 8000 --tensor-parallel-size 2 --pipeline-parallel-size 2 "
                        "--max-num-seqs 32 --served-model-name two words --rank-link-host first")


@pytest.mark.parametrize("status,restarts,requeued", [
    (70, "0", True), (137, "3", True), (70, "10", False), (2, "0", False), (1, "0", False), (0, "0", False)])
def test_when_the_job_is_queued_again(tmp_path, status, restarts, requeued):
    ended, output, calls = job(tmp_path, STATUS=str(status), SLURM_RESTART_COUNT=restarts)
    assert ended == status, output
    assert (calls[-1] == "scontrol requeue 7") == requeued, calls


def test_ranks_that_are_not_the_job_s_tasks(tmp_path):
    status, output, calls = job(tmp_path, PP="3")
    assert status == 2 and not calls
    assert "TP=2 x PP=3 makes 6 ranks, the job has 4 tasks" in output


def test_a_job_whose_time_is_over_drains_and_stays_away(tmp_path):
    """SIGTERM to the script reaches the ranks, their end is awaited, nothing is queued."""
    fakes = tmp_path / "bin"
    job(tmp_path)
    (fakes / "srun").write_text(FAKE_SRUN.replace('SLURMD', 'exec env SLURMD'))
    calls = tmp_path / "calls"
    calls.write_text("")
    process = subprocess.Popen(["bash", SBATCH], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
        **os.environ, "PATH": f"{fakes}:{os.environ['PATH']}", "FAKES": str(fakes), "CALLS": str(calls),
        "SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "MODEL": "/models/m", "TP": "2", "PP": "2", "WAITS": "yes"})
    wait_until(lambda: "\nmartlet serve" in calls.read_text(), "the ranks run")
    process.terminate()
    assert process.wait(60) == 0
    assert calls.read_text().splitlines()[-1] == "drained"


@pytest.mark.parametrize("file", [
    "systemd/martlet.service", "systemd/martlet@.service", "kubernetes/replicas.yaml", "kubernetes/several-hosts.yaml",
    "slurm/martlet.sbatch"])
def test_every_flag_is_one_that_the_server_honours(file):
    text = (DEPLOY / file).read_text()
    commands = "\n".join(re.findall(r"(?:martlet serve|- serve|\"\$MODEL\")((?:.|\n(?= +-))*)", text))
    flags = set(re.findall(r"(?<![\w-])--[a-z-]+", commands))
    table = (DEPLOY.parent / "docs/flags.md").read_text()
    honoured = set(re.findall(r"^\| `(--[a-z0-9-]+).*\| \*\*yes\*\* \|$", table, re.MULTILINE))
    assert flags and flags <= honoured, sorted(flags - honoured)


def test_the_image_has_the_libraries_that_the_server_needs():
    """Debian's packages of the Dockerfile are those that own what the binary here is linked with."""
    text = (DEPLOY / "Dockerfile").read_text()
    stage = text[text.index(" AS martlet\n"):text.index(" AS martlet-mpi\n")]
    packages = set(re.search(r"--no-install-recommends (.*?) \\", stage)[1].split())
    libraries = re.findall(r"=> (/(?:usr/)?lib/\S*(?:png|jpeg|webp)\S*)", accepted("ldd", os.environ["MARTLET_BINARY"]))
    assert len(libraries) == 3, libraries
    for path in libraries:
        owner = accepted("sh", "-c", f"dpkg -S {path} 2>/dev/null || dpkg -S /usr{path}").split(":")[0]
        assert owner.removesuffix("t64") in packages, owner
