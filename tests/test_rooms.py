"""The arrows of folders and rooms: who may import whom, imports for type checkers and late ones included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: What each folder may import, beside itself.
FOLDERS = {"spectral": set(), "models": set(), "clusters": set(), "search": {"spectral", "models", "clusters"}}

#: The rooms of search/, each of which may import those before it; what stands at the root comes last.
ROOMS = (
    "sampling",
    "protocol",
    "scores",
    "remote",
    "resumable",
    "sources",
    "samplers",
    "config",
    "paths",
    "guards",
    "store",
    "guidance",
    "worker",
    "process",
    "driver",
    "record",
    "report",
    "final",
    "plan",
    "screen",
    "studies",
    "testing",
    "commands",
)
#: Files at the root of search/ that every room may import; they import no room.
SHARED = {"console", "files", "names"}

#: Files at the root of search/.
MOST_AT_ROOT = 7


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """The project's modules that a file imports, from the folder on: `search.store.ledger`."""
    package = list(file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name.removeprefix("fullspectrum.") for a in node.names if a.name.startswith("fullspectrum."))
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            # In `from . import x` the module is x.
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (".".join([*base, name]) for name in names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fullspectrum"):
            yield node.module.removeprefix("fullspectrum.")


def room(module: str) -> str:
    """The room of search/ that a module is in, or its own name where it stands at the root; empty for search itself."""
    return (module.split(".") + [""])[1]


def test_no_folder_imports_another_that_it_may_not():
    broken = [
        f"{file.relative_to(ROOT)} imports {module}"
        for folder, allowed in FOLDERS.items()
        for file in files(folder)
        for module in imported(file)
        if module.split(".")[0] not in allowed | {folder}
    ]
    assert broken == []


def test_every_room_is_known():
    folders = {path.name for path in (ROOT / "search").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ROOMS)


def test_rooms_import_one_way():
    # A study is run by the command line, and by whoever imports `search` from the package.
    place = {name: number for number, name in enumerate((*ROOMS[:-1], "study", "face", ROOMS[-1]))}
    broken = []
    for file in files("search"):
        own = file.relative_to(ROOT / "search").parts
        # What stands at the root and is not shared may import every room.
        number = place[own[0]] if len(own) > 1 else -1 if own[0].removesuffix(".py") in SHARED else len(place)
        for module in imported(file):
            other = room(module)
            if not module.startswith("search") or other in SHARED or (len(own) > 1 and other == own[0]):
                continue
            if place.get(other, len(place)) >= number:
                broken.append(f"search/{'/'.join(own)} imports {module}")
    assert broken == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_files_import_each_other_in_a_circle(folder):
    names = {str(file.relative_to(ROOT)).removesuffix(".py").replace("/", "."): file for file in files(folder)}
    arrows = {name: {other for other in imported(file) if other in names} for name, file in names.items()}

    def free() -> set[str]:
        """Modules that import none of those left, or that none of those left imports."""
        named = set().union(*arrows.values())
        return {name for name, others in arrows.items() if not others & arrows.keys() or name not in named}

    while gone := free():
        arrows = {name: others - gone for name, others in arrows.items() if name not in gone}
    assert arrows == {}


def test_few_files_stand_at_the_root_of_search():
    assert len(list((ROOT / "search").glob("*.py"))) <= MOST_AT_ROOT
