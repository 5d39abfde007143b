"""Examples/verify.ipynb runs against a server as a person would run it."""

import sys

from server import HERE

sys.path.append(str(HERE.parents[1] / "Examples"))

import run_notebook


def test_verify(servers, monkeypatch):
    monkeypatch.setenv("MARTLET_URL", servers["demo"].url)
    notebook = run_notebook.run()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown), "no picture was shown"
