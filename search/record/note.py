"""The description of a study in MLflow: what it came to, in the order in which a reader asks."""

from ..config.study import Study
from ..files import JsonObject
from ..names import Metric
from ..protocol.events import Summary
from ..protocol.label import Label
from .addresses import LEADERBOARD, RUN_LINK, VIEW_LINK
from .runs import run_name


def opening_note(study: Study) -> str:
    """Return the description of a study that has begun."""
    return (
        f"This search has not ended yet: {_settings(study)}. Its verdict will stand here; until then see the "
        f"{_leaderboard('runs so far')}, and `fullspectrum status {study.id}`."
    )


def closing_note(study: Study, summary: Summary) -> str:
    """Return the description of a study that has ended, or was interrupted.

    MLflow shows its first four lines: which mask is best, how to get it, whether the score can be trusted. Then come
    the baselines in a table, the other verdicts and the settings.
    """
    best = best_row(summary)
    unfinished = "" if summary.status == "FINISHED" else "This search did not finish; `--resume` goes on with it. "
    others = [line for line in summary.verdicts if line != summary.trust]
    if best is None:
        return _paragraphs(f"{unfinished}There is no mask yet.", *others, _sentence(_settings(study)))
    link, runs = _link(study, best, f"**{name_of(best)}**"), _leaderboard("all runs")
    first = (
        f"{unfinished}The best mask, {link}, {summary.headline or _trained(best)}.",
        f"Export it: `fullspectrum export best:{study.id} --format torch-prune -o best.pt`; {runs}.",
        summary.trust,
    )
    return _paragraphs(
        # Lines of one paragraph: MLflow leaves room between two.
        "  \n".join(first),
        _table(study, summary, best),
        *others,
        _sentence(_settings(study)),
    )


def best_row(summary: Summary) -> JsonObject | None:
    """Return the row of the best mask; None where there is none."""
    return next((row for row in summary.rows if Label(row["mask"]).number is not None), None)


def name_of(row: JsonObject) -> str:
    """Return the short name of the mask of a row: that of its run, without what it came to."""
    return run_name(Label(row["mask"]), row["source"])


def _trained(best: JsonObject) -> str:
    """Return what the best mask came to, where there is nothing to compare it with."""
    for metric, word in ((Metric.ACCURACY_FINAL, "test"), (Metric.ACCURACY_WARMUP, "warm-up validation")):
        if (accuracy := best[metric]) is not None:
            return f"has {word} accuracy {accuracy:.3f}"
    return "is known by its scores alone: no mask was trained"


def _table(study: Study, summary: Summary, best: JsonObject) -> str:
    """Return the best mask beside the baselines."""
    rows = [best, *(row for row in summary.rows if Label(row["mask"]).is_baseline)]
    lines = [
        f"| {_link(study, row, name_of(row))} | {_tested(row, summary)} "
        f"| {_number(row[Metric.ACCURACY_VAL_FINAL])} | {_steps(row[Metric.COST])} |"
        for row in rows
    ]
    return "\n".join(["| mask | test accuracy (95 %) | validation | steps |", "|---|---|---|---|", *lines])


def _link(study: Study, row: JsonObject, name: str) -> str:
    return f"[{name}]({RUN_LINK}{study.id}/{row['mask']})"


def _leaderboard(name: str) -> str:
    """Return a link to the runs of the study, best first."""
    return f"[{name}]({VIEW_LINK}{LEADERBOARD})"


def _tested(row: JsonObject, summary: Summary) -> str:
    """Return the test accuracy of a row with its interval, where these are known."""
    ends = summary.intervals.get(row["mask"])
    return _number(row[Metric.ACCURACY_FINAL]) + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _steps(cost: int | None) -> str:
    return "" if cost is None else f"{cost:,}"


def _settings(study: Study) -> str:
    """Return the settings in brief."""
    search, warmup, final = study.search, study.warmup, study.final
    trained = f"warm-up of {warmup.iterations:,} iterations" if warmup.iterations else "no warm-up"
    full = f"{final.top_k} trained for {final.epochs} epochs" if final.top_k else "none trained in full"
    return (
        f"`{study.model}` on `{study.data}` at sparsity {study.sparsity:g}, seed {study.seed}; "
        f"{search.trials:,} trials of {search.samples_per_trial} masks by {', '.join(search.sources)}; objective "
        f"{', '.join(study.objectives)}; gate {study.gate.quantile:g}, {trained}, {full}"
    )


def _sentence(text: str) -> str:
    return f"Settings: {text}."


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
