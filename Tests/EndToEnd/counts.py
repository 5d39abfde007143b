"""What was planned, run and passed, for every suite: a test that did not run is a failure, whatever the reason.
A suite's conftest.py takes these hooks in with `pytest_plugins`; MARTLET_SUITE names it."""

import os

import pytest

COUNTS = {"planned": 0, "run": set(), "failed": set(), "passed": set()}


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
    passed = len(COUNTS["passed"] - COUNTS["failed"])
    suite = os.environ.get("MARTLET_SUITE", "tests")
    terminalreporter.write_line(f"{suite}: planned {COUNTS['planned']}, run {len(COUNTS['run'])}, passed {passed}")
