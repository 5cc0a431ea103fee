"""The contents of a report from the folder of a study."""

from ..config.study import Study
from ..files import StudyFolder, plain
from ..names import Artifact
from ..store.ledger import Ledger
from .audit.audit import audit
from .audit.document import document
from .audit.ofstudy import study_table
from .contents import Contents, export_commands
from .facts import StudyFacts, layer_sparsities, network_of, read_json
from .leaderboard import leaderboard
from .optunaplots import searched
from .overview import Overview
from .sparsityplot import MOST
from .status import State, Status, status_of
from .verdicts import against_baselines

_STATES = {
    State.RUNNING: "The search still runs",
    State.LEAVING: "The search is about to be interrupted",
    State.DIED: "The driver of the search died; it goes on with --resume",
    State.INTERRUPTED: "The search was interrupted; it goes on with --resume",
}


def contents_of_folder(study: Study, folder: StudyFolder, ledger: Ledger, options: str = "") -> Contents:
    """Return what a report of `study` says, by its folder and its ledger; nothing is changed.

    `options` are those by which a command line finds the home of the study.
    """
    facts = facts_of_folder(study, folder, ledger)
    found = status_of(study, folder, ledger)
    images, classes, best = facts.images("test"), facts.classes, facts.best
    verdicts = against_baselines(facts.rows, images, classes) if images and classes else []
    missing = [] if images else ["the number of images of each split: errors of accuracies are left out"]
    picture = folder.trial(best.number) / Artifact.COORDINATE_PICTURE if best and best.number is not None else None
    if picture and not picture.exists():
        missing.append("the coordinate of the best mask beside chance, which is drawn once it was trained in full")
    commands = [*export_commands(f"best:{study.id}", options), f"fullspectrum ui{options}"]
    return Contents(
        facts,
        _state(found),
        verdicts,
        plain(document(facts.audit)) if facts.audit else {},
        read_json(folder.report / Artifact.ENVIRONMENT) or {},
        found.outcomes,
        commands if best else [],
        str(folder.path),
        {Artifact.COORDINATE_PICTURE: picture} if picture and picture.exists() else {},
        missing,
        found.pareto,
        next((trial.result.costs for trial in facts.trials if best and trial.label == best.label), {}),
    )


def overview_of_folder(study: Study, folder: StudyFolder, ledger: Ledger) -> Overview:
    """Return how `study` stands beside others, by its folder and its ledger."""
    return Overview(facts_of_folder(study, folder, ledger), status_of(study, folder, ledger).state)


def facts_of_folder(study: Study, folder: StudyFolder, ledger: Ledger) -> StudyFacts:
    """Return the facts of `study` by its folder and its ledger."""
    trials, finals, rows, network = ledger.trials(), ledger.finals(), leaderboard(ledger), network_of(folder)
    masks = [row for row in rows if not row.is_baseline][:MOST]
    sparsities = {
        row.label: layer_sparsities(folder.trial(row.number) / Artifact.COORDINATE)
        for row in masks
        if row.number is not None
    }
    return StudyFacts(
        study,
        rows,
        network,
        trials,
        finals,
        audit(study_table(study, trials, finals, network=network)),
        searched(ledger),
        {label: each for label, each in sparsities.items() if each},
    )


def _state(found: Status) -> str:
    if found.state is State.FINISHED:
        return ""
    ended = f"{found.ended:,} of {found.study.search.trials:,} trials have ended"
    finals = f", and {found.finals:,} full trainings" if found.finals else ""
    return f"{_STATES[found.state]}: {ended}{finals}. What stands here may change."
