import sys

import lightning.pytorch as lightning
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import initial_state
from fullspectrum.models.trainers.lightning import MaskCallback
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from .networks import batch, check_moved, hard, loss, removed

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


class Module(lightning.LightningModule):
    """Trains a network, and looks at its removed weights before each step."""

    def __init__(self, network, masks, steps_of_a_batch: int = 0):
        super().__init__()
        self.net, self.masks, self.steps = network, masks, steps_of_a_batch
        self.automatic_optimization = not steps_of_a_batch
        self.looks = 0

    def training_step(self, tokens):
        for _ in range(self.steps):
            self._look()
            self.optimizers().zero_grad()
            self.manual_backward(loss(self.net, tokens))
            self.optimizers().step()
        self._look()
        return loss(self.net, tokens) if self.automatic_optimization else None

    def _look(self):
        assert not removed(self.net, self.masks).any()
        self.looks += 1

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)


def fit(module, callback, folder, epochs=1, checkpoint=None, **settings):
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[callback],
        logger=CSVLogger(folder, version=0),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(module, DataLoader(batch(), batch_size=4), ckpt_path=checkpoint, weights_only=False)
    return trainer


@pytest.mark.parametrize("steps_of_a_batch", [0, 2])
def test_a_fit_holds_the_mask_after_every_step(tmp_path, steps_of_a_batch):
    network, masks = hard()
    before = initial_state(network)
    module = Module(network, masks, steps_of_a_batch)
    trainer = fit(module, MaskCallback(masks.save(tmp_path / "best.safetensors"), network="net"), tmp_path)
    assert module.looks == 4 * (steps_of_a_batch + 1)
    check_moved(network, masks, before)
    assert str(masks.sparsity) in next((tmp_path).rglob("metrics.csv")).read_text()
    assert trainer.optimizers[0]._optimizer_step_post_hooks == {}


def test_a_fit_goes_on_from_a_checkpoint_whose_names_are_those_of_a_dense_one(tmp_path):
    network, masks = hard()
    plain = list(Module(network, masks).state_dict())
    trainer = fit(Module(network, masks), MaskCallback(masks, "net"), tmp_path)
    file = tmp_path / "last.ckpt"
    trainer.save_checkpoint(file)
    assert list(torch.load(file, weights_only=False)["state_dict"]) == plain
    again, _ = hard()
    module = Module(again, masks)
    fit(module, MaskCallback(masks, "net"), tmp_path, epochs=2, checkpoint=file)
    assert module.looks == 4
    whole, _ = hard()
    fit(Module(whole, masks), MaskCallback(masks, "net"), tmp_path, epochs=2)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in whole.state_dict().items())


def test_masks_of_a_network_that_the_module_holds_are_refused_with_the_way_out(tmp_path):
    network, masks = hard()
    module = Module(network, masks)
    module.teacher = hard()[0]
    with pytest.raises(InputError, match='network="net"'):
        fit(module, MaskCallback(masks), tmp_path)


def test_without_lightning_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "fullspectrum.models.trainers.lightning")
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(ImportError, match=r"needs Lightning .*pip install 'fullspectrum\[lightning\]'$"):
        import fullspectrum.models.trainers.lightning  # noqa: F401
