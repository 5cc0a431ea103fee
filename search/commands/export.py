"""`fullspectrum export`: hands a mask and its initial weights to another trainer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...models.formats.registry import FORMATS
from ..names import Artifact, Param, Tag
from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ..files import Home


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An MLflow run id, or best:STUDY (id, name or .toml).")],
    format: Annotated[str, typer.Option("--format", help=f"Format: {', '.join(FORMATS.known)}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    mask: Annotated[
        str, typer.Option("--mask", help="start, or end: the mask and weights of its end, where training changed it.")
    ] = "start",
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    tracking: Annotated[
        str | None,
        typer.Option(help="MLflow tracking URI of the run; default: where those under --home went."),
    ] = None,
) -> None:
    """Write a mask with its initial weights in the form that another trainer reads.

    best:STUDY with the name or the file of a study takes the same --set as the search did.

    Example: fullspectrum export best:digits --format torch-prune -o best.pt
    """
    import tempfile

    from ...models.errors import InputError
    from ...models.files import check_target
    from ..files import Home

    FORMATS.check(format)
    if mask not in ("start", "end"):
        raise InputError(f'--mask "{mask}": expected start or end')
    check_target(output)
    with tempfile.TemporaryDirectory() as scratch:
        if run.startswith("best:"):
            mask_file, weights_file = _best(Home(home), run.removeprefix("best:"), settings, mask)
        else:
            mask_file, weights_file = _download(Home(home), run, tracking, Path(scratch), mask)

        from ...models.formats import export as write
        from ...models.masks import MaskSet
        from ...models.weights import load_state

        masks = MaskSet.load(mask_file)
        written = write(format, output, masks, load_state(weights_file))
    typer.echo(
        f"wrote {', '.join(map(str, written))}: {masks.kept:,} of {masks.size:,} weights kept "
        f"(sparsity {masks.sparsity:.4f}), weights {masks.metadata.get('init_digest', '')[:12]}"
    )


def _best(home: "Home", name: str, settings: list[str], mask: str) -> tuple[Path, Path]:
    """Return the mask and the weights of the best trial of a study, named by its id or by its settings."""
    from ...models.errors import InputError
    from ..config.studyfile import find_study

    study, folder = find_study(name, settings, home)

    from ..report.leaderboard import leaderboard
    from ..store.ledger import Ledger
    from ..store.storage import open_storage

    ledger = Ledger(study, open_storage(study.tracking.storage, folder.journal, create=False))
    best = next((row for row in leaderboard(ledger) if row.number is not None), None)
    if best is None or best.number is None:
        raise InputError(f"study {study.id} has no mask yet; go on with it first (--resume)")
    files = folder.trial(best.number)
    if mask == "start":
        k = ledger.trials()[best.number].distribution.pretraining
        return files / Artifact.MASK, folder.pretrained_weights(k)
    if not (files / Artifact.END_MASK).exists():
        raise InputError(
            f"the mask of {best.label} did not change in a full training; leave --mask end out, or search with "
            "--set training.mask=rigl"
        )
    return files / Artifact.END_MASK, files / Artifact.END_WEIGHTS


def _download(home: "Home", run_id: str, tracking: str | None, scratch: Path, mask: str) -> tuple[Path, Path]:
    """Return the mask of an MLflow run, and the weights of the study that it belongs to.

    It is looked for at the server `tracking`; without one where the records of `home` went, then where the environment
    says.
    """
    from ...models.errors import InputError, first_line
    from ..files import sqlite_file
    from ..record.destination import recorded
    from ..record.server import tracking_server, without_password
    from ..record.tracking import client_for

    # Each record of this home stays where it went; another's is where the environment says.
    servers = [] if tracking else [destination.server for _, destination in recorded(home)]
    reasons = []
    for server in dict.fromkeys([*servers, tracking_server(home, tracking)]):
        file = sqlite_file(server) if server else home.database
        if file and not file.exists():
            reasons.append(f"there is no record in {str(file.parent)!r}")
            continue
        client = client_for(home, server)
        from mlflow.exceptions import MlflowException

        try:
            return _files(client, run_id, scratch, mask)
        except (MlflowException, OSError) as error:
            reasons.append(f"{first_line(error)} (at {without_password(server or str(home.path))})")
    raise InputError(
        f"cannot read the mask of run {run_id!r}: {'; '.join(reasons)}; give an MLflow run id with the right --home or "
        "--tracking URI, or best:STUDY"
    )


def _files(client: "MlflowClient", run_id: str, scratch: Path, mask: str) -> tuple[Path, Path]:
    """Return the files of a run at a tracking server. Raises InputError where it is no trial of a search."""
    from ...models.errors import InputError

    run = client.get_run(run_id).data
    parent = run.tags.get(Tag.PARENT)
    if parent is None:
        raise InputError(f"run {run_id} is no trial of a search; name a run nested in one, or best:STUDY")
    weights = Artifact.pretrained_weights(int(run.params.get(Param.PRETRAINING, 0)))
    wanted = {
        "start": ((run_id, Artifact.MASK), (parent, weights)),
        "end": ((run_id, Artifact.END_MASK), (run_id, Artifact.END_WEIGHTS)),
    }
    mask_file, weights_file = (client.download_artifacts(run, name, str(scratch)) for run, name in wanted[mask])
    return Path(mask_file), Path(weights_file)
