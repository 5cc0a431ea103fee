"""`fullspectrum export`: hands a mask and its initial weights to another trainer."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .options import RUNS, HomeFolder, Settings


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An MLflow run id, or best:STUDY (id, name or .toml).")],
    format: Annotated[str, typer.Option("--format", help="fullspectrum or torch-prune.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    tracking: Annotated[
        str | None, typer.Option(help="MLflow tracking URI of the run; default: the record under --home.")
    ] = None,
) -> None:
    """Write a mask with its initial weights in the form that another trainer reads.

    best:STUDY with the name or the file of a study takes the same --set as the search did.

    Example: fullspectrum export best:digits --format torch-prune -o best.pt
    """
    import tempfile

    from ...models.formats import export as write
    from ...models.masks import MaskSet
    from ...models.weights import load_state
    from ..files import Home

    with tempfile.TemporaryDirectory() as scratch:
        if run.startswith("best:"):
            mask_file, weights_file = _best(Home(home), run.removeprefix("best:"), settings)
        else:
            mask_file, weights_file = _download(Home(home), run, tracking, Path(scratch))
        masks = MaskSet.load(mask_file)
        written = write(format, output, masks, load_state(weights_file))
    typer.echo(
        f"wrote {', '.join(map(str, written))}: {masks.kept:,} of {masks.size:,} weights kept "
        f"(sparsity {masks.sparsity:.4f}), initial weights {masks.metadata.get('init_digest', '')[:12]}"
    )


def _best(home, name: str, settings: list[str]) -> tuple[Path, Path]:
    """The mask and the weights of the best trial of a study, named by its id or by its settings."""
    from ...models.errors import InputError
    from ..config.studyfile import find_study
    from ..report.leaderboard import leaderboard
    from ..store.ledger import Ledger
    from ..store.storage import open_storage

    study, folder = find_study(name, settings, home)
    ledger = Ledger(study, open_storage(study, folder.journal, create=False))
    rows = [row for row in leaderboard(ledger) if row.digest]
    if not rows:
        raise InputError(f"study {study.id} has no mask yet; go on with it first (--resume)")
    return folder.trial(int(rows[0].label.removeprefix("trial "))) / "mask.safetensors", folder.initial_weights


def _download(home, run_id: str, tracking: str | None, scratch: Path) -> tuple[Path, Path]:
    """The mask of an MLflow run, and the weights of the study that it belongs to."""
    from ...models.errors import InputError
    from ..record.tracking import client_for

    tracking = tracking or os.environ.get("MLFLOW_TRACKING_URI")
    if tracking is None and not (home.path / "mlflow.db").exists():
        raise InputError(f"there is no record in {str(home.path)!r}; give the right --home, or --tracking URI")
    client = client_for(tracking or home.tracking_uri)
    from mlflow.exceptions import MlflowException

    try:
        parent = client.get_run(run_id).data.tags.get("mlflow.parentRunId")
        if parent is None:
            raise InputError(f"run {run_id} is no trial of a search; name a run nested in one, or best:STUDY")
        mask_file = client.download_artifacts(run_id, "mask.safetensors", str(scratch))
        weights_file = client.download_artifacts(parent, "init.safetensors", str(scratch))
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"cannot read the mask of run {run_id!r}: {reason}; give an MLflow run id, or best:STUDY"
        ) from None
    return Path(mask_file), Path(weights_file)
