import sys

import numpy as np
import pytest
import torch
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import initial_state
from fullspectrum.models.trainers.transformers import MaskCallback
from torch.utils.data import StackDataset
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainerCallback, TrainingArguments

from .networks import batch, check_moved, removed

TIED = "bert.embeddings.word_embeddings.weight"


def bert() -> tuple[BertForMaskedLM, MaskSet]:
    """Return a small BERT with tied embeddings, random masks of it, 70 % removed, and a file name for none of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        network = BertForMaskedLM(BertConfig(vocab_size=12, max_position_embeddings=8, **sizes))
    generator = np.random.default_rng(0)
    masks = {name: generator.random(tuple(weight.shape)) >= 0.7 for name, weight in prunable(network).items()}
    assert TIED in masks and "cls.predictions.decoder.weight" not in masks
    return network, MaskSet(masks)


class Look(TrainerCallback):
    """Looks at the removed weights before each step and counts the looks."""

    def __init__(self, masks):
        self.masks, self.looks = masks, 0

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        assert not removed(model, self.masks).any()
        self.looks += 1


def trainer_of(network, masks, folder, **settings):
    tokens = batch()
    look = Look(masks)
    arguments = TrainingArguments(
        folder, use_cpu=True, report_to="none", disable_tqdm=True, per_device_train_batch_size=4, seed=0, **settings
    )
    dataset = StackDataset(input_ids=tokens, labels=tokens)
    return Trainer(network, arguments, train_dataset=dataset, callbacks=[MaskCallback(masks), look]), look


def test_a_training_holds_the_mask_on_tied_embeddings_after_every_step(tmp_path):
    network, masks = bert()
    before = initial_state(network)
    trainer, look = trainer_of(network, masks, tmp_path, max_steps=3, weight_decay=0.1, gradient_accumulation_steps=2)
    trainer.train()
    assert look.looks == 3
    # Token types and positions that no sequence has get no gradient; weight decay moves them all the same.
    check_moved(network, masks, before)
    assert network.cls.predictions.decoder.weight is dict(network.named_parameters())[TIED]
    assert trainer.state.log_history[-1] == {"sparsity": masks.sparsity, "step": 3}


def test_a_checkpoint_is_that_of_a_dense_network_and_goes_on_with_the_mask(tmp_path):
    network, masks = bert()
    trainer, _ = trainer_of(network, masks, tmp_path, max_steps=2, save_steps=2)
    trainer.train()
    loaded, report = BertForMaskedLM.from_pretrained(tmp_path / "checkpoint-2", output_loading_info=True)
    assert not any(report.values()) and not removed(loaded, masks).any()
    again, _ = bert()
    trainer, look = trainer_of(again, masks, tmp_path, max_steps=4, save_steps=9)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert look.looks == 2
    check_moved(again, masks, initial_state(loaded))


def test_without_transformers_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "fullspectrum.models.trainers.transformers")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"needs Transformers .*pip install 'fullspectrum\[transformers\]'$"):
        import fullspectrum.models.trainers.transformers  # noqa: F401
