"""A file of masks as a table, and one clear line for each way in which it can be wrong."""

import gzip

import numpy as np
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.report.audit.csvfile import names_csv, read_csv
from fullspectrum.search.report.audit.table import check_table, table_of

GOOD = "mask,accuracy,source,l2,layer_density\na,0.5,snip,1,0.1\nb,0.6,random,2,0.3\nc,0.7,snip,,0.2\n"


def read(tmp_path, text: str | bytes, name: str = "masks.csv", **reading):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    table = table_of(read_csv(path), **reading)
    check_table(table, reading.get("scores", ()))
    return table


def test_a_file_is_read_packed_or_not_and_with_a_mark_of_its_encoding(tmp_path):
    plain = read(tmp_path, GOOD)
    assert plain.masks.tolist() == ["a", "b", "c"]
    assert plain.sources.tolist() == ["snip", "random", "snip"]
    assert plain.accuracy.tolist() == [0.5, 0.6, 0.7]
    assert {name: values.tolist()[:2] for name, values in plain.scores.items()} == {
        "l2": [1, 2],
        "layer_density": [0.1, 0.3],
    }
    assert np.isnan(plain.scores["l2"][2])
    for text, name in (
        (gzip.compress(GOOD.encode()), "masks.csv.gz"),
        ("\ufeff" + GOOD, "marked.csv"),
        (GOOD.replace("\n", "\r\n"), "dos.csv"),
    ):
        assert read(tmp_path, text, name).accuracy.tolist() == plain.accuracy.tolist()


def test_columns_of_text_and_numbers_of_masks_are_no_scores(tmp_path):
    table = read(tmp_path, "run,seed,method,accuracy,l2\n0,0,snip,0.1,3\n1,0,erk,0.2,4\n2,1,erk,0.3,6\n")
    assert list(table.scores) == ["l2"]
    assert table.ignored == ("run", "seed", "method")


def test_masks_are_compared_within_equal_values_of_several_columns(tmp_path):
    rows = [
        f"{data},{sparsity},0.{n},{n}"
        for n, (data, sparsity) in enumerate([("a", 0.9), ("a", 0.9), ("a", 0.95), ("b", 0.9)])
    ]
    table = read(tmp_path, "data,sparsity,accuracy,l2\n" + "\n".join(rows), group=["data", "sparsity"])
    assert table.groups.tolist() == ["a, 0.9", "a, 0.9", "a, 0.95", "b, 0.9"]
    assert table.trainings == 2
    assert list(table.scores) == ["l2"]


@pytest.mark.parametrize(("name", "meant"), [("a.csv", True), ("A.CSV.GZ", True), ("a.toml", False), ("digits", False)])
def test_a_file_is_known_by_its_name(name, meant):
    assert names_csv(name) is meant


def line(text: str, **reading) -> dict:
    return {"text": text, "reading": reading}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (line(""), "is empty; expected a first line with the names"),
        (line("acc,l2\n1,2\n"), 'has no column "accuracy" (it has acc, l2)'),
        (line("acuracy,l2\n1,2\n"), 'has no column "accuracy", did you mean "acuracy"? (it has acuracy, l2)'),
        (line(GOOD, scores=["imdb"]), 'has no column "imdb" (it has mask, accuracy'),
        (line(GOOD, group=["data"]), 'has no column "data"'),
        (line(GOOD, source="method"), 'has no column "method"'),
        (line(GOOD, accuracy="top1"), 'has no column "top1"'),
        (line(GOOD.replace("0.6", "good")), ', line 3: "good" in the column "accuracy" is no number; mend it'),
        (line(GOOD + "d,0.9,erk,much,0.4\n"), ', line 5: "much" in the column "l2" is no number'),
        (line(GOOD, scores=["source"]), ', line 2: "snip" in the column "source" is no number'),
        (line(GOOD.replace("0.6", "inf")), ', line 3: the column "accuracy" holds inf; expected a finite number'),
        (line("accuracy,l2\n1,2\n2,3\n"), "has 2 rows with an accuracy; expected 3 or more"),
        (line("accuracy,l2\n"), "has 0 rows with an accuracy"),
        (line("accuracy,l2\n1,2\n,3\n2,4\n,1\n"), "has 2 rows with an accuracy"),
        (line("accuracy,l2\n1,2\n1,3\n1,4\n"), "all accuracies are alike, so that nothing can be ranked"),
        (line("d,accuracy,l2\na,1,2\na,1,3\nb,2,4\n", group=["d"]), "all accuracies are alike within each group"),
        (line("d,accuracy,l2\na,1,2\nb,1,3\nc,2,4\n", group=["d"]), "has no two rows of one group"),
        (line("accuracy,l2,imdb\n1,2,3\n2,2,1\n3,2,2\n", scores=["imdb", "l2"]), 'the column "l2" is constant'),
        (line("accuracy,l2\n1,2\n2,2\n3,2\n"), 'the column "l2" is constant where masks are compared'),
        (line("accuracy,name\n1,a\n2,b\n3,c\n"), "has no column of numbers beside the accuracy"),
        (line("accuracy,l2,l2\n1,2,3\n"), 'has the column "l2" twice'),
        (line("accuracy,,l2\n1,2,3\n"), "has a column without a name"),
        (line("accuracy,l2\n1,2\n1\n"), ", line 3: 1 cells; expected 2, as many as the first line"),
        (
            line("accuracy,l2,gate\n1,2,passed\n2,1,open\n3,3,\n"),
            ', line 3: unknown decision "open" in the column "gate"',
        ),
        (line(b"accuracy,l2\n\xff,1\n"), "is not UTF-8 text: byte 12"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_one_clear_line(tmp_path, wrong, said):
    with pytest.raises(InputError) as raised:
        read(tmp_path, wrong["text"], **wrong["reading"])
    message = str(raised.value)
    assert said in message
    assert str(tmp_path / "masks.csv") in message
    assert "\n" not in message and not message.endswith(".")


@pytest.mark.parametrize("name", ["absent.csv", "folder.csv", "broken.csv.gz", "short.csv.gz"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "broken.csv.gz").write_bytes(b"no gzip at all")
    (tmp_path / "short.csv.gz").write_bytes(gzip.compress(GOOD.encode())[:-12])
    with pytest.raises(InputError, match="^cannot read ") as raised:
        read_csv(tmp_path / name)
    assert name in str(raised.value) and "\n" not in str(raised.value)


def test_a_constant_column_beside_others_is_no_mistake(tmp_path):
    table = read(tmp_path, "accuracy,l2,imdb\n1,2,3\n2,2,1\n3,2,2\n")
    assert list(table.scores) == ["l2", "imdb"]
