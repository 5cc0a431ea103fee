"""A mask in Lightning's Trainer: `python lightning_mask.py best.safetensors`, after an export in our own format."""

import sys

import lightning.pytorch as lightning
import torch
from fullspectrum.models import MaskSet
from fullspectrum.models.networks import Task, build
from fullspectrum.models.trainers.lightning import MaskCallback
from fullspectrum.models.weights import load_state
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    """Somebody's module, as it was before there was a mask."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        images, labels = batch
        return cross_entropy(self.network(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)


def main(mask: str) -> None:
    network = build("digits_cnn", Task(channels=1, size=8, classes=10), seed=0)
    network.load_state_dict(load_state(mask.replace(".safetensors", ".init.safetensors")))
    images = DataLoader(TensorDataset(torch.rand(64, 1, 8, 8), torch.randint(10, (64,))), batch_size=16)
    trainer = lightning.Trainer(
        # The mask is for the network, which the module holds under this name.
        callbacks=[MaskCallback(mask, network="network")],
        accelerator="cpu",
        max_steps=5,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Classifier(network), images)
    for name, kept in MaskSet.load(mask).items():
        assert not network.get_parameter(name).detach().numpy()[~kept].any()
    print(f"removed weights are zero after {trainer.global_step} steps")


if __name__ == "__main__":
    main(sys.argv[1])
