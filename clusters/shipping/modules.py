"""The user's own modules, with what they import from the folder that they lie in."""

import importlib.util
from collections.abc import Iterable
from modulefinder import ModuleFinder
from pathlib import Path

from ..errors import ClusterError


def own_modules(names: Iterable[str], folder: Path) -> list[Path]:
    """Return the files of the modules `names` that lie in `folder`, and of all that these import from there.

    A module that is not there must be installed, here as on the nodes, and does not travel. Raise ClusterError, with
    its name, for one that is neither, and for one that is no Python.
    """
    folder = folder.resolve()
    # Nothing is run: imports are read from the code.
    finder = ModuleFinder(path=[str(folder)])
    found: set[Path] = set()
    for name in names:
        top = name.partition(".")[0]
        if not _lies_in(folder, top):
            if importlib.util.find_spec(top) is None:
                raise ClusterError(f"there is no module {name!r} in {str(folder)!r}, and none is installed")
            continue
        if (package := folder / top).is_dir() and not (package / "__init__.py").exists():
            # Of a package without an __init__.py nobody can say which parts of it belong together.
            found.update(package.rglob("*.py"))
            continue
        try:
            finder.import_hook(name)
        except ImportError as error:
            raise ClusterError(f"cannot find the module {name!r} in {str(folder)!r}: {error}") from None
        except SyntaxError as error:
            raise ClusterError(f"the module {name!r} is no Python: {error}") from None
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    found.update(Path(file).resolve() for file in files if file)
    return sorted(file for file in found if file.is_relative_to(folder))


def _lies_in(folder: Path, top: str) -> bool:
    return (folder / f"{top}.py").is_file() or (folder / top).is_dir()
