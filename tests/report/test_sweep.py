"""The page of a sweep: executed by tests/test_sweeping.py."""

import ast
from pathlib import Path

import nbformat

PAGE = Path(__file__).parents[2] / "gendiff_report" / "sweep.ipynb"


def test_the_page_of_a_sweep_is_thin_parameterised_and_stripped():
    cells = nbformat.read(PAGE, as_version=4).cells
    code = [c for c in cells if c.cell_type == "code"]
    assert len(cells) <= 12
    assert max(len(c.source.splitlines()) for c in cells) <= 12
    assert code[0].metadata.tags == ["parameters"]
    assert code[0].source.startswith("file = ")
    assert all(not c.outputs and c.execution_count is None for c in code)
    kinds = {type(node).__name__ for c in code for node in ast.walk(ast.parse(c.source))}
    assert not kinds & {"FunctionDef", "ClassDef", "With", "Try"}
