#!/usr/bin/env python3
"""Runs verify.ipynb against the server that MARTLET_URL names; the notebook's own checks decide.

    MARTLET_URL=http://localhost:8000/v1 python3 run_notebook.py [--keep]      --keep writes the outputs into the notebook
"""

import pathlib
import sys

import nbclient
import nbformat

HERE = pathlib.Path(__file__).resolve().parent


def run():
    """The notebook with its outputs; nbclient.exceptions.CellExecutionError when a cell fails."""
    notebook = nbformat.read(HERE / "verify.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3",
                            resources={"metadata": {"path": str(HERE)}}).execute()
    return notebook


if __name__ == "__main__":
    done = run()
    if "--keep" in sys.argv[1:]:
        for cell in done.cells:
            cell.metadata.pop("execution", None)
        done.metadata.pop("widgets", None)
        nbformat.write(done, HERE / "verify.ipynb")
    print("verify.ipynb:", sum(cell.cell_type == "code" for cell in done.cells), "cells ran")
