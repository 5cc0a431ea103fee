"""Every metric, tag, parameter and artifact is spelled in one module."""

import ast
from pathlib import Path

from fullspectrum.search import names

SEARCH = Path(__file__).parents[2] / "search"
NAMES = SEARCH / "names.py"


def spelled() -> set[str]:
    """The names that cannot be mistaken for a common word."""
    groups = [group for group in vars(names).values() if isinstance(group, type)]
    values = [value for group in groups for key, value in vars(group).items() if not key.startswith("_")]
    texts = [text for value in values for text in (value if isinstance(value, tuple) else (value,))]
    return {text for text in texts if isinstance(text, str) and any(mark in text for mark in "/._")}


def literals(file: Path) -> set[str]:
    """The string literals of a file, those of f-strings included, its docstrings apart."""
    tree = ast.parse(file.read_text())
    loose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in loose]
    return {node.value for node in constants if isinstance(node.value, str)}


def test_there_are_names_of_every_kind():
    kinds = {"accuracy/final", "fullspectrum.outcome", "mlflow.note.content", "mask.safetensors", "batch_seed"}
    assert spelled() >= kinds


def test_no_other_module_spells_a_name():
    # A parameter that is a setting's or an attribute's name too is that there.
    common = {"batch_seed", "init_seed", "round_iterations", "group"}
    found = {
        f"{file.relative_to(SEARCH)}: {name}"
        for file in sorted(SEARCH.rglob("*.py"))
        if file != NAMES
        for name in literals(file) & (spelled() - common)
    }
    assert not found, "\n".join(sorted(found))
