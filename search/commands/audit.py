"""`fullspectrum audit`: which score was worth trusting."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...models.errors import InputError
from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from ..report.audit.ofstudy import Audited
    from ..report.audit.table import MaskTable

#: What --accuracy may be of a study.
_OF_STUDY: dict[str | None, "Audited | None"] = {None: None, "warmup": "warmup", "final": "final"}


def audit(
    what: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|TABLE.csv",
            help="A study (its id or how it begins, name or .toml), or a .csv or .csv.gz file.",
        ),
    ],
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    accuracy: Annotated[
        str | None,
        typer.Option(
            help="Of a study: warmup (validation accuracy of the warm-ups that came to their end, the default where "
            "there is one) or final (test accuracy after full training). Of a table: the column that holds it.",
            show_default="accuracy",
        ),
    ] = None,
    scores: Annotated[
        str, typer.Option(metavar="A,B", help="Scores to audit; the verdict is on the first. Default: all.")
    ] = "",
    group: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Columns within whose equal values masks are compared, such as dataset,model,sparsity."
        ),
    ] = "",
    source: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Of a table: the column that says what made a mask.", show_default="source"
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture of every score's correlation (.png, .pdf, .svg).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Say which score was worth trusting, in a study or in any table of masks and accuracies.

    A table has a first line of names and a row for each mask. The column accuracy is required. Known besides are source
    (what made the mask), gate (passed, control or stopped), layer_density and log_density (means over layers, which
    other scores are held against) and cost (optimizer steps in all). mask, trial, run and seed number masks. Every
    other column of numbers is a score; empty cells are left out.

    Example: fullspectrum audit masks.csv --group dataset,model,sparsity
    """
    from ..report.audit.csvfile import names_csv
    from ..report.picture import check_picture

    if plot:
        check_picture(plot)
    named, groups = _names(scores), _names(group)
    if names_csv(what):
        table = _of_file(Path(what), named, groups, accuracy, source, settings)
    else:
        table = _of_study(what, named, groups, accuracy, source, settings, home)

    from ..files import plain
    from ..report.audit.audit import audit as audit_of
    from ..report.audit.document import document
    from ..report.audit.picture import plot_audit

    found = audit_of(table)
    if plot:
        plot_audit(found, table.name, plot)
    if as_json:
        typer.echo(json.dumps(plain(document(found)), allow_nan=False))
        return

    from rich.console import Console

    from ..screen.audit import print_audit

    print_audit(Console(), found)


def _of_file(
    path: Path, scores: list[str], group: list[str], accuracy: str | None, source: str | None, settings: list[str]
) -> "MaskTable":
    from ..report.audit.csvfile import read_csv
    from ..report.audit.table import ACCURACY, SOURCE, check_table, table_of

    if settings:
        raise InputError(f"--set {settings[0]} is a setting of a study, but {path} is a table; leave --set out")
    table = table_of(read_csv(path), scores, group, accuracy or ACCURACY, source or SOURCE)
    check_table(table, scores)
    described = f'the column "{accuracy or ACCURACY}"'
    return replace(table, objective=scores[0] if scores else None, described=described, reached_described=described)


def _of_study(
    name: str,
    scores: list[str],
    group: list[str],
    accuracy: str | None,
    source: str | None,
    settings: list[str],
    home: Path,
) -> "MaskTable":
    from ..config.studyfile import find_study
    from ..files import Home

    if accuracy not in _OF_STUDY:
        raise InputError(f"--accuracy {accuracy}: expected warmup or final; a table (.csv) may name any of its columns")
    if source is not None:
        raise InputError(f"--source {source} names a column of a table (.csv); a study knows its sources, leave it out")
    study, folder = find_study(name, settings, Home(home))

    from ..report.audit.ofstudy import study_table
    from ..report.facts import network_of
    from ..store.ledger import Ledger

    ledger = Ledger.of_folder(study, folder)
    trials, finals = ledger.trials(), ledger.finals()
    return study_table(study, trials, finals, _OF_STUDY[accuracy], scores, group, network_of(folder))


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
