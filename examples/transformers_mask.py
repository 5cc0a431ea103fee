"""A mask in Hugging Face's Trainer, on a small BERT of your own: `python transformers_mask.py bert.safetensors`.

The mask is one of `fullspectrum sample --model transformers_mask:network`.
"""

import sys
import tempfile

import torch
from fullspectrum.models.networks import Task, build
from fullspectrum.models.trainers.transformers import MaskCallback
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.utils.data import StackDataset
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainingArguments

#: Shades of grey that a pixel is read as; the token after them asks for the class, whose number is a token, too.
GREYS = 15


class Reader(BertForMaskedLM):
    """BERT that reads an image pixel by pixel, and names its class where a last token asks for it."""

    def forward(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """Return the logits of images (N, C, H, W); with labels (N,) the loss beside them."""
        tokens = (4 * pixels.flatten(1)).round().long().add(GREYS // 2).clamp(0, GREYS - 1)
        logits = super().forward(input_ids=pad(tokens, (0, 1), value=GREYS)).logits[:, -1, :10]
        return logits if labels is None else {"loss": cross_entropy(logits, labels), "logits": logits}


def network(channels: int, size: int, classes: int) -> Reader:
    """Return a new network with random weights; its word embeddings are the weights of its last layer, too."""
    return Reader(
        BertConfig(
            vocab_size=GREYS + 1,
            max_position_embeddings=channels * size**2 + 1,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
        )
    )


def main(mask: str) -> None:
    model = build("transformers_mask:network", Task(channels=1, size=8, classes=10), seed=0)
    images = StackDataset(pixels=torch.rand(64, 1, 8, 8), labels=torch.randint(10, (64,)))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder, max_steps=5, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no"
            ),
            train_dataset=images,
            callbacks=[MaskCallback(mask)],
        )
        trainer.train()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    print(f"sparsity {trainer.state.log_history[-1]['sparsity']:.4f} after {trainer.state.global_step} steps")


if __name__ == "__main__":
    main(sys.argv[1])
