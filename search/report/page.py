"""The report of a study as one HTML page that needs nothing else, with its pictures and its table beside it."""

import base64
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...models.files import write_atomically
from ..names import Artifact
from ..scores.registry import score_called
from .comparison import compare, interval
from .contents import Contents
from .facts import StudyFacts
from .gallery import PICTURES, draw
from .leaderboard import Row
from .methods import methods
from .rendering import render

#: Most trials of the leaderboard on the page; the table beside it holds all.
MOST_ROWS = 50


@dataclass(frozen=True)
class Shown:
    """A picture on the page."""

    heading: str
    caption: str
    data: str
    """The PNG in base64."""


def write_report(contents: Contents, folder: Path) -> Path:
    """Write the page, its pictures and the whole leaderboard into `folder`, which is made; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = contents.facts
    if facts.rows:
        write_atomically(folder / Artifact.LEADERBOARD_CSV, _csv(facts).encode())
    page = render(
        "report.html.j2",
        contents=contents,
        facts=facts,
        study=facts.study,
        pictures=list(_pictures(contents, folder)),
        rows=list(_table(facts)),
        objective=score_called(facts.study.score).label,
        folded=max(sum(not row.is_baseline for row in facts.rows) - MOST_ROWS, 0),
        table=Artifact.LEADERBOARD_CSV,
        correlations=list(_correlations(contents.audit)),
        methods=methods(contents),
        changed=list(_settings(facts.study.settings())),
        settings=list(_settings(facts.study.model_dump())),
    )
    return write_atomically(folder / Artifact.REPORT, page.encode())


def _pictures(contents: Contents, folder: Path) -> Iterator[Shown]:
    """Yield the pictures that there are: drawn into `folder`, or copied there."""
    for picture in PICTURES:
        there = contents.pictures.get(picture.file)
        if not draw(picture, contents.facts, folder):
            if there is None:
                continue
            write_atomically(folder / picture.file, there.read_bytes())
        yield Shown(picture.heading, picture.caption, embedded(folder / picture.file))


def embedded(picture: Path) -> str:
    """Return a picture as a page holds it, in base64."""
    return base64.b64encode(picture.read_bytes()).decode()


def _csv(facts: StudyFacts) -> str:
    """Return the whole leaderboard by the names of the record, with the intervals of test accuracies."""
    text = io.StringIO()
    rows = [
        row.values() | dict(zip(("low", "high"), _interval(facts, row) or ("", ""), strict=True)) for row in facts.rows
    ]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _table(facts: StudyFacts) -> Iterator[dict[str, Any]]:
    """Yield the rows of the leaderboard that the page shows: the first trials, and all baselines."""
    trials = [row for row in facts.rows if not row.is_baseline][:MOST_ROWS]
    for place, row in enumerate([*trials, *(row for row in facts.rows if row.is_baseline)], start=1):
        ends = _interval(facts, row)
        yield {
            "place": "" if row.is_baseline else str(place),
            "label": row.label,
            "source": row.source or "baseline",
            "score": f"{row.scores['objective']:.3f}" if "objective" in row.scores else "",
            "warmup": _accuracy(row.accuracy_warmup),
            "val": _accuracy(row.accuracy_val),
            "test": _accuracy(row.accuracy_final),
            "interval": f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else "",
            "difference": _difference(facts, row) if row.is_baseline else "",
            "cost": "" if row.cost is None else f"{row.cost:,}",
            "digest": (row.digest or "")[:12],
            "baseline": row.is_baseline,
            "best": row == facts.best and row.accuracy_final is not None,
        }


def _interval(facts: StudyFacts, row: Row) -> tuple[float, float] | None:
    images = facts.images("test")
    return interval([row.accuracy_final], images) if images and row.accuracy_final is not None else None


def _difference(facts: StudyFacts, row: Row) -> str:
    """Return by how much the best mask is more accurate than a baseline, with the 95 % error; empty if not known."""
    images, best = facts.images("test"), facts.best
    if not images or best is None or best.accuracy_final is None or row.accuracy_final is None:
        return ""
    beside = compare([best.accuracy_final], [row.accuracy_final], images)
    return f"{beside.difference:+.4f} ± {beside.error:.4f}"


def _accuracy(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.4f}"


def _correlations(audit: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """Yield a line for each score of an audit: its name, its masks, and its correlations with their intervals."""
    for name, found in audit.get("scores", {}).items():
        given = found.get("given", {})
        estimates = [found["rho"], *(given.get(control) for control in ("layer_density", "log_density"))]
        yield [name, f"{found['trainings']:,}", *(map(_estimate, [*estimates, found.get("within_sources")]))]


def _estimate(estimate: Mapping[str, float | None] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return ""
    ends = (
        ""
        if estimate["low"] is None or estimate["high"] is None
        else f" ({estimate['low']:+.2f} to {estimate['high']:+.2f})"
    )
    return f"{estimate['value']:+.2f}{ends}"


def _settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings by their whole names; where the record goes is left out, as it may hold a password."""
    for name, value in settings.items():
        if not prefix and name == "tracking":
            continue
        if isinstance(value, Mapping) and not _is_searched(value):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _value(value)


def _is_searched(value: Mapping[str, Any]) -> bool:
    return "choices" in value or {"low", "high"} <= value.keys()


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        if "choices" in value:
            return f"one of {', '.join(map(str, value['choices']))}"
        return f"{value['low']:g} to {value['high']:g}{', log-uniform' if value.get('log') else ''}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
