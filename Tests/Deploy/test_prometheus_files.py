"""Prometheus takes its configuration and its rules, and reads metrics that exist."""

import asyncio
import json
import re
import subprocess

import httpx
import pytest
import yaml

from load import ask, request
from processes import DEPLOY, accepted, adapter_rules, kubernetes_targets, outcome, substituted, wait_until
from server import Server, free_port, tiny_arguments

pytestmark = pytest.mark.files

def test_prometheus(tmp_path):
    accepted("promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yml"))
    output = accepted("promtool", "test", "rules", str(DEPLOY / "prometheus/alerts_test.yml"))
    assert "SUCCESS" in output
    (tmp_path / "alerts.yml").write_text((DEPLOY / "prometheus/alerts.yml").read_text())
    (tmp_path / "kubernetes.yml").write_text(kubernetes_targets("      - targets: [pod]"))
    accepted("promtool", "check", "config", str(tmp_path / "kubernetes.yml"))


def test_every_alert_has_a_test_that_fires_and_one_that_is_silent():
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    for rule in rules:
        mine = [case for case in cases if case["alertname"] == rule["alert"]]
        assert any(case.get("exp_alerts") for case in mine), f"{rule['alert']} never fires"
        assert any(not case.get("exp_alerts") for case in mine), f"{rule['alert']} is never silent"
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule["labels"]["severity"] in ("warning", "critical")


@pytest.mark.parametrize("change", [
    {'up{job="martlet"} == 0': 'up{job="martlet"} == 2'}, {"\n        for: 1m\n": "\n        for: 1h\n"},
    {"status=\"5xx\"}[5m]))\n          /": "status=\"2xx\"}[5m]))\n          /"}])
def test_prometheus_with_a_mistake(tmp_path, change):
    for name in ("alerts.yml", "alerts_test.yml"):
        text = (DEPLOY / "prometheus" / name).read_text()
        (tmp_path / name).write_text(substituted(text, change) if name == "alerts.yml" else text)
    status, output = outcome("promtool", "test", "rules", str(tmp_path / "alerts_test.yml"))
    assert status != 0, output


FAMILY = re.compile(r"\b(?:vllm|martlet):[a-z0-9_]+|\b(?:http|process|haproxy)_[a-z0-9_]+")


def named_metrics():
    """name -> file that reads it. Only expressions: labels and prose have names of their own."""
    names = {}
    dashboard = json.loads((DEPLOY / "prometheus/grafana-dashboard.json").read_text())
    expressions = [
        (target["expr"], "grafana-dashboard.json") for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += [(entry["query"], "grafana-dashboard.json") for entry in dashboard["templating"]["list"]]
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    expressions += [(rule["expr"], "alerts.yml") for rule in rules]
    expressions += [(rule["seriesQuery"], "adapter-rules.yaml") for rule in adapter_rules()]
    for expression, file in expressions:
        found = FAMILY.findall(re.sub(r'"[^"]*"', '""', expression))
        names |= {name: file for name in found}
    return names


def test_every_metric_that_is_read_is_exported(tmp_path):
    """Dashboard, alerts and autoscaler read what a running server and a running HAProxy say."""
    server = Server(tiny_arguments())
    ports = [free_port(), free_port(), free_port()]
    numbers = free_port()
    changes = {"/run/haproxy/martlet.sock": str(tmp_path / "s"), "bind :8000": f"bind 127.0.0.1:{ports[0]}",
               "127.0.0.1:8404": f"127.0.0.1:{numbers}"}
    (tmp_path / "haproxy.cfg").write_text(substituted((DEPLOY / "haproxy/haproxy.cfg").read_text(), changes))
    with open(tmp_path / "log", "wb") as log:
        haproxy = subprocess.Popen(["haproxy", "-f", str(tmp_path / "haproxy.cfg")], stdout=log, stderr=log)
    try:
        # Some appear with the first request.
        assert asyncio.run(ask(server.port, request("x", 2, streams=True))).verdict == "complete"
        wait_until(lambda: (tmp_path / "s").exists(), "HAProxy up")
        page = server.http.get("/metrics").text + httpx.get(f"http://127.0.0.1:{numbers}/metrics", trust_env=False).text
    finally:
        haproxy.kill()
        haproxy.wait()
        server.stop()
    exported = {re.split(r"[{ ]", line)[0] for line in page.splitlines() if not line.startswith("#")}
    names = named_metrics()
    assert len(names) > 25
    missing = {name: file for name, file in names.items() if name not in exported}
    assert not missing, missing
