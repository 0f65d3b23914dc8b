"""The notebook of the walk, executed in a kernel of its own."""

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLE = Path(__file__).parents[2] / "example_project"
NOTEBOOK = EXAMPLE / "notebooks" / "walk.ipynb"
PATIENCE = 120
"""Seconds that a cell gets at most."""


def execute(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, str], **names: str
) -> tuple[Any, dict[str, Any]]:
    """Return the executed notebook, and what expressions are at its end.

    Args:
        monkeypatch: Where the kernel finds the example.
        found: An expression for each name to return; JSON must be able to hold its value.
        names: New values of names that readers are told to change, such as ``INSTRUMENT``.
    """
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE / "src"), prepend=os.pathsep)
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    for name, value in names.items():
        old = f'\n{name} = "'
        (cell,) = (cell for cell in notebook.cells if old in f"\n{cell.source}")
        before, _, after = f"\n{cell.source}".partition(old)
        cell.source = f'{before}{old}{value}"{after.partition(chr(34))[2]}'
    values = ", ".join(f"{name!r}: {expression}" for name, expression in found.items())
    probe = f"import json; print(json.dumps({{{values}}}))"
    notebook.cells.append(nbformat.v4.new_code_cell(probe))  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3").execute()
    (output,) = notebook.cells.pop().outputs
    return notebook, json.loads(output.text)
