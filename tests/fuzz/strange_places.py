"""Paths and environments that a user may name."""

import os
from collections.abc import Mapping
from pathlib import Path

#: Names below the working folder; `prepare` puts something at those that say so.
NAMES = (
    "plain",
    "two words",
    "größe",
    "100%",
    "a%20b",
    "what?",
    "a#b",
    "a&b=c",
    "[bold]",
    "it's",
    'quo"te',
    "semi;colon",
    "star*",
    "back\\slash",
    "new\nline",
    "tab\t",
    "-dash",
    "~",
    "$HOME",
    ".hidden",
    "..",
    ".",
    "",
    " ",
    "a//b/../c",
    "x" * 255,
    "x" * 300,
    "/".join(["d" * 100] * 20),
    "/".join(["d" * 200] * 30),
    "😀",
    "e\u0301",
    "\udcff",
    "a_file",
    "a_folder",
    "a_link_to_a_folder",
    "a_link_to_a_file",
    "a_dangling_link",
    "a_link_to_itself",
    "a_fifo",
    "a_file/below",
    "nosuch/below",
    "/dev/null",
    "/dev/full",
    "/proc/self/nosuch",
    "/proc",
    "/",
)


def prepare(folder: Path) -> None:
    """Put files, folders and links of all kinds into `folder`."""
    (folder / "a_file").write_text("a file")
    (folder / "a_folder").mkdir()
    (folder / "a_link_to_a_folder").symlink_to("a_folder")
    (folder / "a_link_to_a_file").symlink_to("a_file")
    (folder / "a_dangling_link").symlink_to("nosuch")
    (folder / "a_link_to_itself").symlink_to("a_link_to_itself")
    os.mkfifo(folder / "a_fifo")
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "script.py").write_text("import sys\nsys.exit('usage: script')\n")


#: Environments of a command that may change while Python runs.
ENVIRONMENTS: tuple[Mapping[str, str], ...] = (
    *({"FULLSPECTRUM_HOME": name} for name in ("", "two words", "100%", "a_file", "nosuch/below", "/dev/null", "~")),
    *(
        {"MLFLOW_TRACKING_URI": uri}
        for uri in (
            "",
            " ",
            "runs",
            "file:runs",
            "http://",
            "http://127.0.0.1:1",
            "http://[::1",
            "http://host:port",
            "http://größe",
            "ftp://host",
            "sqlite://",
            "sqlite:///",
            "sqlite:////",
            "sqlite:///nosuch/a.db",
            "sqlite:///a_file",
            "sqlite+nosuch:///a",
            "postgresql://",
            "databricks",
            "uc",
            "://",
            "\n",
        )
    ),
    *({"COLUMNS": width} for width in ("0", "1", "20", "-1", "wide", "99999999")),
    *({"LINES": height, "TERM": "dumb"} for height in ("0", "many")),
    *({"TMPDIR": place} for place in ("nosuch", "/dev/null", "x" * 300, "")),
    *({"HOME": place} for place in ("nosuch", "/dev/null", "")),
    *({"XDG_CACHE_HOME": place} for place in ("a_file", "/proc", "x" * 300)),
    *({"FULLSPECTRUM_DATA": place} for place in ("a_file", "")),
    *({"RAY_ADDRESS": address} for address in ("", "local", "nosuch", "auto:auto", "ray://", "größe:1")),
    {"NO_COLOR": "1", "FORCE_COLOR": "1"},
    {"TZ": "Nowhere/Nothing"},
    {"MPLBACKEND": "nosuch"},
    {"MPLCONFIGDIR": "/proc"},
)

#: Environments that Python reads when it starts.
AT_THE_START: tuple[Mapping[str, str], ...] = (
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "utf-16"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "nosuch"},
    {"OMP_NUM_THREADS": "0"},
    {"OMP_NUM_THREADS": "many"},
    {"MKL_NUM_THREADS": "-1"},
    {"CUDA_VISIBLE_DEVICES": ""},
    {"CUDA_VISIBLE_DEVICES": "nosuch"},
    {"PYTHONWARNINGS": "error"},
    {"PYTHONHASHSEED": "0"},
    {"PYTHONOPTIMIZE": "2"},
    {"PYTHONDEVMODE": "1"},
    {"TMPDIR": "x" * 90},
)

#: Homes of whole searches, with their environments.
SEARCHES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("größe 100% [x]#?", {"PYTHONIOENCODING": "ascii", "COLUMNS": "20"}),
    ("a_link_to_a_folder", {"TMPDIR": "a_folder", "RAY_ADDRESS": "local", "OMP_NUM_THREADS": "1"}),
)

#: Encodings of a screen that does not have every character.
ENCODINGS = ("ascii", "latin-1", "cp1252", "utf-16")
