"""The figures that were measured, in lines at the end of the run."""

import pytest

pytest_plugins = ["counts"]
FIGURES = []


def pytest_configure(config):
    config.addinivalue_line("markers", "full: needs 12 GB of memory and disk; only with -m full")
    if not config.option.markexpr:
        config.option.markexpr = "not full"


@pytest.fixture
def figure():
    """Tells a line for the end of the run."""
    return FIGURES.append


def pytest_terminal_summary(terminalreporter):
    for line in FIGURES:
        terminalreporter.write_line(line)
