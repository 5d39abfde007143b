"""Three replicas and the proxy in front of them, which the tests of faults share."""

import pytest

from processes import Proxy, Replicas

pytest_plugins = ["counts"]


@pytest.fixture(scope="session")
def replicas():
    replicas = Replicas()
    yield replicas
    assert replicas.stop() == [0, 0, 0]


@pytest.fixture(scope="session")
def running_proxy(replicas):
    proxy = Proxy(replicas.ports)
    yield proxy
    proxy.check()
    proxy.stop()


@pytest.fixture
def proxy(running_proxy):
    """The proxy with all replicas up, before and after each test."""
    running_proxy.wait_up()
    yield running_proxy
    running_proxy.wait_up()


def pytest_configure(config):
    config.addinivalue_line("markers", "files: needs no load and less than a minute in all; make deploy-check")
