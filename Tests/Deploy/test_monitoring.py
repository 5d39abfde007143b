"""Prometheus beside replicas: what it scrapes, what fires when one dies, and the queue that the autoscaler goes by."""

import asyncio

import pytest

from load import ask, request
from processes import DEPLOY, Prometheus, Proxy, Replicas, adapter_rules, kubernetes_targets, substituted, wait_until


@pytest.fixture(scope="module")
def queueing():
    """Three replicas that run one request at a time and queue the rest."""
    replicas = Replicas(3, "--max-num-seqs", "1")
    yield replicas
    assert replicas.stop() == [0, 0, 0]


def test_targets_are_up_and_a_rule_fires_when_one_dies(queueing):
    proxy = Proxy(queueing.ports)
    places = ", ".join(f'"localhost:{port}"' for port in queueing.ports)
    text = substituted((DEPLOY / "prometheus/prometheus.yml").read_text(), {
        '"localhost:8001", "localhost:8002", "localhost:8003"': places,
        '"localhost:8404"': f'"localhost:{proxy.numbers_port}"'})
    down = 'up{job="martlet"} == 0\n        for: '
    prometheus = Prometheus(text, {down + "30s": down + "2s"})
    try:
        def all_up():
            targets = prometheus.targets()
            return len(targets) == 4 and all(target["health"] == "up" for target in targets)

        wait_until(all_up, "targets up")
        active = 'haproxy_backend_active_servers{proxy="martlet"}'
        wait_until(lambda: prometheus.query(active)[0][1] == 3, "three in HAProxy")
        assert prometheus.alerts() == set()
        queueing.kill(0)
        wait_until(lambda: "MartletReplicaDown" in prometheus.alerts(), "the alert")
        firing = prometheus.query('ALERTS{alertname="MartletReplicaDown",alertstate="firing"}')
        assert [labels["instance"] for labels, _ in firing] == [f"localhost:{queueing.ports[0]}"]
        assert prometheus.query(active)[0][1] == 2
        queueing.bury(0)
        queueing.start(0)
        wait_until(lambda: prometheus.alerts() == set(), "the alert's end")
    finally:
        prometheus.stop()
        proxy.stop()


def test_the_autoscaler_sees_the_queue_of_each_pod(queueing):
    """The cluster's configuration with what a cluster would find, and the adapter's own query on it."""
    lines = []
    for index, port in enumerate(queueing.ports):
        lines += [
            "      - targets: [pod]", "        labels:", "          __meta_kubernetes_namespace: ours",
            f"          __meta_kubernetes_pod_name: martlet-{index}", "          __meta_kubernetes_pod_ip: 127.0.0.1",
            "          __meta_kubernetes_pod_label_app_kubernetes_io_name: martlet",
            '          __meta_kubernetes_pod_annotation_prometheus_io_scrape: "true"',
            f'          __meta_kubernetes_pod_annotation_prometheus_io_port: "{port}"']
    lines += ["      - targets: [other]", "        labels:",
              "          __meta_kubernetes_pod_label_app_kubernetes_io_name: x"]
    prometheus = Prometheus(kubernetes_targets(*lines))
    rule = adapter_rules()[0]
    query = rule["metricsQuery"].replace("<<.Series>>", "vllm:num_requests_waiting")
    query = query.replace("<<.LabelMatchers>>", 'namespace="ours"').replace("<<.GroupBy>>", "pod")

    def waiting():
        return {labels["pod"]: value for labels, value in prometheus.query(query)}

    async def fill():
        """1, 3 and 5 long requests: 0, 2 and 4 of them wait."""
        asked = [asyncio.create_task(ask(port, request(f"long {number}", 4000, streams=True)))
                 for index, port in enumerate(queueing.ports) for number in range(1 + 2 * index)]
        await asyncio.sleep(0)
        await asyncio.to_thread(
            wait_until, lambda: waiting() == {"martlet-0": 0, "martlet-1": 2, "martlet-2": 4}, "the queues")
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    try:
        wait_until(lambda: waiting() == dict.fromkeys(("martlet-0", "martlet-1", "martlet-2"), 0), "all pods, idle")
        assert len(prometheus.query(rule["seriesQuery"])) == len(prometheus.targets()) == 3
        asyncio.run(fill())
        wait_until(lambda: set(waiting().values()) == {0}, "empty queues")
    finally:
        prometheus.stop()
