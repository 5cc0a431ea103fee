"""`fullspectrum export`: hands a mask and its weights to another trainer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...models.formats.registry import FORMATS
from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ..files import Home
    from ..record.exported import MaskFiles
    from ..record.recorded import RecordedMasks

#: What a mask is named by, beside MLflow's run ids.
BEST, TRIAL = "best:", "trial:"


def export(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="An MLflow run id, best:STUDY or trial:STUDY/N (STUDY: id, name or .toml)."),
    ],
    format: Annotated[str, typer.Option("--format", help=f"Format: {', '.join(FORMATS.known)}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    mask: Annotated[
        str, typer.Option("--mask", help="start, or end: the mask of its training's end, where training changed it.")
    ] = "start",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="start: those that the mask was made for; end: those that its full training came to; none. "
            "Default: those of the mask.",
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option("--prefix", help="What is put before the name of each parameter, as in backbone.")
    ] = "",
    register: Annotated[
        str, typer.Option("--register", metavar="NAME", help="Register the masked network in MLflow's model registry.")
    ] = "",
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    tracking: Annotated[
        str | None,
        typer.Option(help="MLflow tracking URI of the run or the study; default: where those under --home went."),
    ] = None,
) -> None:
    """Write a mask with its weights in the form that another trainer reads, and say which one it is.

    The run of a search stands for its best mask. STUDY with the name or the file of a study takes the same --set as
    the search did.

    Example: fullspectrum export best:digits --format torch-prune -o best.pt
    """
    import tempfile

    from ...models.files import check_target
    from ..files import Home
    from ..record.choice import Choice

    FORMATS.check(format)
    choice = Choice.of(mask, weights)
    check_target(output)
    with tempfile.TemporaryDirectory() as scratch:
        place, folder = Home(home), Path(scratch)
        named = run.startswith((BEST, TRIAL))
        # What is written needs no server: that of a study's own folder does not ask for its run.
        own = named and not tracking and not register
        found = _of_study(place, run, settings) if own else _recorded(place, run, settings, tracking, folder)[1]

        from ...models.formats import export as write

        exported = found.read(choice).matched()
        written = write(format, output, exported.masks, exported.state, prefix=prefix, provenance=exported.provenance)
        masks, digest = exported.masks, exported.masks.metadata.get("init_digest", "")[:12]
        typer.echo(
            f"wrote {', '.join(map(str, written))}: {found.label} of study {found.study}, "
            f"{masks.metadata.get('source', 'unknown source')}, {masks.kept:,} of {masks.size:,} weights kept "
            f"(sparsity {masks.sparsity:.4f}), "
            + ("no weights" if exported.state is None else f"weights {digest} ({exported.choice.weights})")
        )
        if register:
            from ..record.registered import register as put

            client, _ = _recorded(place, found.run or run, settings, tracking, folder)
            typer.echo(f"registered as {register}, version {put(client, exported, register, folder)}")


def _name(text: str) -> tuple[str, int | None]:
    """Return the study of `best:STUDY` or `trial:STUDY/N`, and N. Raises InputError where N is no number."""
    from ...models.errors import InputError

    if text.startswith(BEST):
        return text.removeprefix(BEST), None
    study, _, number = text.removeprefix(TRIAL).rpartition("/")
    if not study or not number.isdecimal():
        raise InputError(f"{text!r} names no trial; expected trial:STUDY/N, as in trial:digits/3")
    return study, int(number)


def _of_study(home: "Home", text: str, settings: list[str]) -> "MaskFiles":
    """Return the best mask of a study of `home`, or that of one of its trials."""
    from ...models.errors import InputError
    from ..config.studyfile import find_study

    name, number = _name(text)
    study, folder = find_study(name, settings, home)

    from ..names import Artifact
    from ..record.exported import MaskFiles
    from ..record.provenance import proposal_params, provenance, study_params
    from ..report.leaderboard import leaderboard
    from ..store.ledger import Ledger

    ledger = Ledger.of_folder(study, folder)
    rows = [row for row in leaderboard(ledger) if row.number is not None]
    row = next((row for row in rows if number is None or row.number == number), None)
    if row is None or row.number is None:
        if number is None:
            raise InputError(f"study {study.id} has no mask yet; go on with it first (--resume)")
        raise InputError(f"study {study.id} has no mask of a trial {number}; it has {ledger.proposed} trials")
    trial, files, key = ledger.trials()[row.number], folder.trial(row.number), f"{study.id}/{row.label}"
    end_mask, end_weights = (
        file if (file := files / name).exists() else None for name in (Artifact.END_MASK, Artifact.END_WEIGHTS)
    )
    params = study_params(study, trial.training) | proposal_params(trial.proposal)
    metrics = {**trial.result.metrics, **row.values()}
    run = ledger.runs().get(key)
    return MaskFiles(
        study.id,
        row.label,
        files / Artifact.MASK,
        folder.pretrained_weights(trial.distribution.pretraining),
        end_mask,
        end_weights,
        provenance(study.id, row.label, params, metrics, run),
        run,
    )


def _recorded(
    home: "Home", text: str, settings: list[str], tracking: str | None, scratch: Path
) -> tuple["MlflowClient", "MaskFiles"]:
    """Return the mask of an MLflow run, or of a study, and the client of the server that has it.

    It is looked for at the server `tracking`; without one where the records of `home` went, then where the environment
    says.
    """
    from ...models.errors import InputError, first_line
    from ..record.server import without_password

    find = _finder(text, settings)
    reasons: list[str] = []
    for server, client in _clients(home, tracking, reasons.append):
        from mlflow.exceptions import MlflowException

        from ..record.recorded import RecordedMasks

        try:
            return client, find(RecordedMasks(client, scratch))
        except (MlflowException, OSError, InputError) as error:
            reason = str(error) if isinstance(error, InputError) else first_line(error)
            reasons.append(f"{reason} (at {without_password(server or str(home.path))})")
    raise InputError(
        f"cannot read the mask of run {text!r}: {'; '.join(reasons)}; give an MLflow run id with the right --home or "
        "--tracking URI, best:STUDY or trial:STUDY/N"
    )


def _finder(text: str, settings: list[str]) -> "Callable[[RecordedMasks], MaskFiles]":
    """Return what finds the mask that `text` names among those of a server."""
    from ..config.studyfile import study_id

    if not text.startswith((BEST, TRIAL)):
        return lambda masks: masks.of_run(text)
    name, number = _name(text)
    study = study_id(name, settings)
    if number is None:
        return lambda masks: masks.best_of(study)
    return lambda masks: masks.of_trial(study, number)


def _clients(
    home: "Home", tracking: str | None, missing: Callable[[str], None]
) -> Iterator[tuple[str | None, "MlflowClient"]]:
    """Yield the servers at which the runs of `home` may be, and their clients; `missing` is told of stores not there.

    Each record of this home stays where it went; another's is where the environment says.
    """
    from ..files import sqlite_file
    from ..record.destination import recorded
    from ..record.server import tracking_server
    from ..record.tracking import client_for

    servers = [] if tracking else [destination.server for _, destination in recorded(home)]
    for server in dict.fromkeys([*servers, tracking_server(home, tracking)]):
        file = sqlite_file(server) if server else home.database
        if file and not file.exists():
            missing(f"there is no record in {str(file.parent)!r}")
        else:
            yield server, client_for(home, server)
