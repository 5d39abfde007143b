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
    # The choice that its comment offers.
    text = substituted(text, {"    balance leastconn\n": "", **{
        f"    #   {line}\n": f"    {line}\n" for line in (
            "balance source", "hash-type consistent", "hash-balance-factor 150")}})
    status, output = haproxy_says(tmp_path, text)
    assert status == 0 and "WARNING" not in output, output


@pytest.mark.parametrize("change", [
    {"    retries 3": "    retrys 3"}, {"retry-on conn-failure empty-response 503": "retry-on connfailure"},
    {"tune.bufsize 2097152": "tune.bufsize lots"}])
def test_haproxy_with_a_mistake(tmp_path, change):
    status, _ = haproxy_says(tmp_path, substituted((DEPLOY / "haproxy/haproxy.cfg").read_text(), change))
    assert status != 0
