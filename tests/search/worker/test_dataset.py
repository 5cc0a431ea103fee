"""What a record says of a data set."""

from dataclasses import replace

import torch
from fullspectrum.models.data import Data
from fullspectrum.search.worker.dataset import listed


def test_a_data_set_is_told_from_another_of_its_name(digits: Data):
    found = listed(digits)
    assert found["name"] == "digits"
    assert found["splits"] == {name: len(split) for name, split in digits.splits.items()}
    assert listed(digits.to("cpu")) == found
    train = digits.splits["train"]
    for changed in (
        replace(train, labels=train.labels.flip(0)),
        replace(train, images=255 - train.images),
        train.at(torch.arange(len(train) - 1)),
    ):
        assert listed(replace(digits, splits={**digits.splits, "train": changed}))["digest"] != found["digest"]
