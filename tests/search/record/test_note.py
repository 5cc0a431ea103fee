"""The description of a study in MLflow, and the addresses that it links to."""

import pytest
from fullspectrum.search.protocol.events import Summary
from fullspectrum.search.record.addresses import linked
from fullspectrum.search.record.note import closing_note, opening_note

from ..conftest import tiny_study

STUDY = tiny_study()


def row(mask: str, source: str = "", **values: float) -> dict[str, object]:
    names = {"final": "accuracy/final", "val": "accuracy/val_final", "warmup": "accuracy/warmup"}
    return {
        "mask": mask,
        "source": source,
        "cost/iterations": values.pop("cost", None),
        **{name: values.get(key) for key, name in names.items()},
    }


ROWS = [
    row("trial 11", "imp", final=0.975, val=0.97, warmup=0.9, cost=768),
    row("trial 5", "snip", final=0.99, val=0.96, warmup=0.9, cost=150),
    row("erk-random", final=0.64, val=0.6, cost=128),
]
SUMMARY = Summary(
    "FINISHED",
    verdicts=["The best mask beats an ERK-random one.", "It can be trusted.", "The search ran 9 steps."],
    headline="beats an ERK-random one, 0.975 against 0.640",
    trust="It can be trusted.",
    rows=ROWS,
    intervals={"trial 11": (0.955, 0.986)},
)


def test_the_lines_that_mlflow_shows_say_which_mask_is_best_how_to_get_it_and_whether_to_trust_it():
    lines = closing_note(STUDY, SUMMARY).split("\n\n")[0].splitlines()
    assert len(lines) == 3
    best = f"The best mask, [**#11 imp**](run:{STUDY.id}/trial 11), beats an ERK-random one, 0.975 against 0.640."
    assert lines[0].strip() == best
    assert f"`fullspectrum export best:{STUDY.id} --format torch-prune -o best.pt`" in lines[1]
    assert lines[2] == "It can be trusted."


def test_the_table_holds_the_winner_and_the_baselines_with_costs_and_the_intervals_that_are_known():
    table = [line for line in closing_note(STUDY, SUMMARY).splitlines() if line.startswith("| [")]
    assert table == [
        f"| [#11 imp](run:{STUDY.id}/trial 11) | 0.9750 (0.955 to 0.986) | 0.9700 | 768 |",
        f"| [erk-random](run:{STUDY.id}/erk-random) | 0.6400 | 0.6000 | 128 |",
    ]


def test_each_verdict_stands_there_once_after_the_table():
    note = closing_note(STUDY, SUMMARY)
    assert [note.count(verdict) for verdict in SUMMARY.verdicts] == [1, 1, 1]
    assert note.index("| mask |") < note.index(SUMMARY.verdicts[0])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "There is no mask yet."),
        ([row("trial 2", "snip", warmup=0.5)], "[**#2 snip**]({}/trial 2), has warm-up validation accuracy 0.500."),
        ([row("trial 2", "snip")], "[**#2 snip**]({}/trial 2), is known by its scores alone: no mask was trained."),
    ],
)
def test_a_study_that_trained_less_says_what_it_has(rows, said):
    note = closing_note(STUDY, Summary("FINISHED", rows=rows))
    assert said.format(f"run:{STUDY.id}") in note


def test_a_study_that_has_not_ended_says_so():
    assert opening_note(STUDY).startswith("This search has not ended yet")
    assert closing_note(STUDY, Summary("KILLED", rows=ROWS)).startswith("This search did not finish")


def test_links_lead_to_runs_in_the_view_of_trainings_and_a_run_that_is_gone_is_a_name():
    text = "[one](run:abc/trial 1), [two](run:abc/trial 2), [all](view:leaderboard), [else](https://x)"
    found = linked(text, "7", {"abc/trial 1": "r1"}.get)
    view = "workflowType=machine_learning"
    assert found == (
        f"[one](#/experiments/7/runs/r1?{view}), two, "
        f"[all](#/experiments/7/runs?{view}&viewStateShareKey=leaderboard), [else](https://x)"
    )
