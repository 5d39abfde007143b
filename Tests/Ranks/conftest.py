"""What was planned, run and passed, and the figures that were measured: a test that did not run is a failure."""

import pytest

import ranks  # noqa: F401  finds the modules of the end-to-end tests

FIGURES = []
COUNTS = {"planned": 0, "run": set(), "failed": set(), "passed": set()}


def pytest_configure(config):
    config.addinivalue_line("markers", "full: needs 12 GB of memory and disk; only with -m full")
    if not config.option.markexpr:
        config.option.markexpr = "not full"


@pytest.fixture
def figure():
    """Tells a line for the end of the run."""
    return FIGURES.append


def pytest_collection_finish(session):
    COUNTS["planned"] = len(session.items)


def pytest_runtest_logreport(report):
    if report.when == "call" and not report.skipped:
        COUNTS["run"].add(report.nodeid)
        if report.passed:
            COUNTS["passed"].add(report.nodeid)
    if report.failed:
        COUNTS["failed"].add(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    passed = len(COUNTS["passed"] - COUNTS["failed"])
    if not COUNTS["planned"] == len(COUNTS["run"]) == passed and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    for line in FIGURES:
        terminalreporter.write_line(line)
    passed = len(COUNTS["passed"] - COUNTS["failed"])
    terminalreporter.write_line(f"ranks: planned {COUNTS['planned']}, run {len(COUNTS['run'])}, passed {passed}")
