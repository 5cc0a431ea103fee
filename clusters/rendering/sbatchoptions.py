"""The options of sbatch, as lines of a script."""

import re
from collections.abc import Mapping
from typing import Any

from ..validation.sbatch import check_text

#: What needs no quotes on such a line.
_PLAIN = re.compile(r"[\w@%+=:,./*\[\]-]+")


def option_lines(options: Mapping[str, Any]) -> list[str]:
    """Return a line for each option; what is false is left out. Raise DocumentError for a value of no use."""
    return [_line(name, value) for name, value in options.items() if value is not False]


def _line(name: str, value: Any) -> str:
    if value is True:
        return f"#SBATCH --{name}"
    text = check_text(name, value)
    return f"#SBATCH --{name}={text}" if _PLAIN.fullmatch(text) else f'#SBATCH --{name}="{text}"'
