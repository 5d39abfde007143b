"""HAProxy takes its configuration, and would not take a mistake."""

import pytest

from processes import DEPLOY, outcome, substituted

pytestmark = pytest.mark.files

def haproxy_says(folder, text):
    (folder / "haproxy.cfg").write_text(text)
    return outcome("haproxy", "-c", "-f", str(folder / "haproxy.cfg"))


def test_haproxy(tmp_path):
    text = (DEPLOY / "haproxy/haproxy.cfg").read_text()
    status, output = haproxy_says(tmp_path, text)
    assert status == 0 and "WARNING" not in output, output


@pytest.mark.parametrize("left_out,taken", [
    (["    balance leastconn"], ["balance source", "hash-type consistent", "hash-balance-factor 150"]),
    ([f"    server replica{number} 127.0.0.1:800{number}" for number in (1, 2, 3)], [
        "server-template replica 8 martlet-replicas:8000 resolvers cluster init-addr none", "resolvers cluster",
        "    parse-resolv-conf", "    accepted_payload_size 8192", "    hold valid 2s", "    hold obsolete 2s"]),
])
def test_what_its_comments_offer(tmp_path, left_out, taken):
    """Lines that a person takes instead of others: without their comment signs the configuration is as good."""
    changes = {f"{line}\n": "" for line in left_out} | {f"#   {line}\n": f"{line}\n" for line in taken}
    status, output = haproxy_says(tmp_path, substituted((DEPLOY / "haproxy/haproxy.cfg").read_text(), changes))
    assert status == 0 and "WARNING" not in output, output


@pytest.mark.parametrize("change", [
    {"    retries 3": "    retrys 3"}, {"retry-on conn-failure empty-response 503": "retry-on connfailure"},
    {"tune.bufsize 2097152": "tune.bufsize lots"}])
def test_haproxy_with_a_mistake(tmp_path, change):
    status, _ = haproxy_says(tmp_path, substituted((DEPLOY / "haproxy/haproxy.cfg").read_text(), change))
    assert status != 0
