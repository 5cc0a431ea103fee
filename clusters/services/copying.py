"""A copy of the services' configuration, for its operator."""

from importlib import resources
from pathlib import Path

from ..errors import ClusterError


def copy_services(folder: Path) -> list[Path]:
    """Write the files of the services into `folder`, and return their paths.

    Raise ClusterError where one of them is there already, and then nothing is written; and where none can be.
    """
    source = resources.files(__package__)
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in sorted(source.iterdir(), key=lambda file: file.name)
        if file.is_file() and not file.name.endswith((".py", ".pyc"))
    }
    paths = [folder / name for name in texts]
    if there := next((path for path in paths if path.exists()), None):
        raise ClusterError(f"{there} is there already; name another folder, or move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, encoding="utf-8")
            # PostgreSQL's image reads a script that it may not run, and runs one that it may.
            path.chmod(0o755 if path.suffix == ".sh" else 0o644)
    except OSError as error:
        raise ClusterError(f"cannot write to {str(folder)!r}: {error.strerror}") from None
    return paths
