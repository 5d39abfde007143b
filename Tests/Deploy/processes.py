"""The processes of a deployment: replicas, the proxy in front of them, Prometheus beside them. Each runs with the files
of Deploy/, in which a test changes addresses and nothing else."""

import csv
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import httpx
import yaml

from server import Server, free_port, tiny_arguments

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "Deploy"


def substituted(text, changes):
    """`text` with each key replaced; a key that does not stand there exactly once is a mistake of the test."""
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return text


def wait_until(condition, what, seconds=60):
    """Waits for `condition()` to be true and gives it; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def outcome(*command, **options):
    """(exit status, all output) of a command; a minute at most."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **options)
    return done.returncode, done.stdout


def accepted(*command, **options):
    status, output = outcome(*command, **options)
    assert status == 0, output
    return output


class Replicas:
    """Servers of the tiny checkpoint on ports that they keep over restarts."""

    def __init__(self, count=3, *arguments):
        # Pictures are made small: the load is for the proxy, the encoder has its own tests.
        self.arguments = tiny_arguments(
            "--max-num-seqs", "8", "--mm-processor-kwargs", '{"max_pixels":50176}', "--disable-uvicorn-access-log",
            *arguments)
        self.ports = [free_port() for _ in range(count)]
        self.servers = [Server(self.arguments, port=port) for port in self.ports]

    def start(self, index):
        self.servers[index] = Server(self.arguments, port=self.ports[index])

    def kill(self, index):
        """kill -9; gives the moment of it."""
        now = time.monotonic()
        self.servers[index].process.send_signal(signal.SIGKILL)
        return now

    def bury(self, index):
        server = self.servers[index]
        server.process.wait(30)
        server.http.close()
        server.log_file.close()

    def stop(self):
        return [server.stop() for server in self.servers]


def kubernetes_targets(*lines):
    """Deploy/prometheus/kubernetes.yml with what a cluster would find written down: Debian's build can't ask one."""
    text = (DEPLOY / "prometheus/kubernetes.yml").read_text()
    return substituted(text, {"    kubernetes_sd_configs:\n      - role: pod\n": "\n".join(
        ["    static_configs:", *lines, ""])})


def adapter_rules():
    """The rules of prometheus-adapter."""
    text = (DEPLOY / "kubernetes/adapter-rules.yaml").read_text()
    return yaml.safe_load(yaml.safe_load(text)["data"]["config.yaml"])["rules"]


class Program:
    """A process with its log in a file; `directory` is its own, gone with it."""

    def __init__(self, name):
        self.folder = tempfile.TemporaryDirectory(prefix=f"martlet-{name}-")
        self.directory = pathlib.Path(self.folder.name)
        self.log_path = self.directory / f"{name}.log"

    def run(self, *command):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.directory)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def check(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()[-4000:]}"
        return True

    def stop(self):
        self.process.kill()
        self.process.wait(30)
        self.folder.cleanup()


class Proxy(Program):
    """HAProxy with Deploy/haproxy/haproxy.cfg in front of three replicas."""

    NAMES = ("replica1", "replica2", "replica3")

    def __init__(self, ports):
        super().__init__("haproxy")
        self.port, self.numbers_port, self.socket = free_port(), free_port(), self.directory / "haproxy.sock"
        changes = {"/run/haproxy/martlet.sock": str(self.socket), "bind :8000": f"bind 127.0.0.1:{self.port}",
                   "127.0.0.1:8404": f"127.0.0.1:{self.numbers_port}"}
        changes |= {f"127.0.0.1:800{index + 1}": f"127.0.0.1:{port}" for index, port in enumerate(ports)}
        path = self.directory / "haproxy.cfg"
        path.write_text(substituted((DEPLOY / "haproxy/haproxy.cfg").read_text(), changes))
        self.run("haproxy", "-f", str(path))
        self.wait_up()

    def ask(self, command):
        """What the stats socket answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.socket))
            connection.sendall(command.encode() + b"\n")
            pieces = []
            while piece := connection.recv(1 << 16):
                pieces.append(piece)
        return b"".join(pieces).decode()

    def servers(self):
        """Row of `show stat` by the name of each replica."""
        text = self.ask("show stat martlet 4 -1")
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return {row["svname"]: row for row in rows if row["pxname"] == "martlet"}

    def is_up(self, name):
        return self.servers()[name]["status"].startswith("UP")

    def wait_up(self):
        """Every replica is in; HAProxy takes them for up until it has asked, so it must have asked."""
        def all_up():
            self.check()
            return self.socket.exists() and all(
                row["status"].startswith("UP") and row["check_status"] == "L7OK" for row in self.servers().values())
        wait_until(all_up, "replicas up")

    def memory(self):
        """Resident bytes."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
        raise AssertionError("no VmRSS")


class Prometheus(Program):
    """Prometheus with a configuration of Deploy/prometheus (`text`) and its rules; a test changes addresses, and times
    that it can't wait for."""

    def __init__(self, text, rule_changes=()):
        super().__init__("prometheus")
        self.port = free_port()
        rules = (DEPLOY / "prometheus/alerts.yml").read_text()
        (self.directory / "prometheus.yml").write_text(substituted(text, {
            "scrape_interval: 5s": "scrape_interval: 1s", "evaluation_interval: 5s": "evaluation_interval: 1s"}))
        (self.directory / "alerts.yml").write_text(substituted(rules, dict(rule_changes)))
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self.run("prometheus", "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{self.port}",
                 "--storage.tsdb.path=data")
        wait_until(self.is_ready, "Prometheus ready")

    def is_ready(self):
        self.check()
        try:
            return self.http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def query(self, expression):
        """The samples of an instant query: [(labels, value)]."""
        answer = self.http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", answer
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def targets(self):
        return self.http.get("/api/v1/targets").json()["data"]["activeTargets"]

    def alerts(self):
        """Names of the alerts that fire."""
        alerts = self.http.get("/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def stop(self):
        self.http.close()
        super().stop()
