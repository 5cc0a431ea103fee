"""A CSV file of masks as columns."""

import csv
import gzip
import io
import zlib
from collections import Counter
from pathlib import Path

from ....models.errors import InputError, first_line
from .columns import Columns

#: Endings of the names by which a file is told from a study.
SUFFIXES = (".csv", ".csv.gz")


def names_csv(name: str) -> bool:
    """Return whether `name` is that of a CSV file, packed by gzip or not."""
    return name.lower().endswith(SUFFIXES)


def read_csv(path: Path) -> Columns:
    """Read a CSV file: a first line of names, then a row for each mask.

    Raises InputError where it cannot be read, for a name that is empty or stands twice, and for a row that is longer or
    shorter than the first.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    found: list[tuple[int, list[str]]] = []
    try:
        found.extend((reader.line_num, cells) for cells in reader if cells)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}; expected comma-separated values") from None
    if not found:
        raise InputError(
            f"{path} is empty; expected a first line with the names of the columns, and a row for each mask"
        )
    (_, header), *rows = found
    names = [name.strip() for name in header]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if "" in names or twice:
        problem = f'the column "{twice[0]}" twice' if twice and twice[0] else "a column without a name"
        raise InputError(f"{path} has {problem}; expected a first line with a name for each column")
    for line, cells in rows:
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {line}: {len(cells)} cells; expected {len(names)}, as many as the first line"
            )
    columns = zip(*(cells for _, cells in rows), strict=True) if rows else ((),) * len(names)
    return Columns(str(path), dict(zip(names, columns, strict=True)), [f"line {line}" for line, _ in rows])


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if path.name.lower().endswith(".gz"):
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or first_line(error)}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from None
