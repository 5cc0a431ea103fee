"""Training under a mask: a removed weight is exactly zero after every optimizer step."""

import contextlib
import copy
import math
from collections.abc import Iterator

import torch
from torch.nn import functional

from .batches import batches, batches_per_epoch, evaluation_batches
from .dataset import Data, Split
from .errors import InputError
from .masks import MaskSet, check_fits
from .recipe import Recipe
from .seeds import derive

__all__ = ["Diverged", "MaskedTraining", "Recipe"]

EVALUATION_BATCH = 512


class Diverged(Exception):
    """The training loss, or an output of the network, was not finite: a result, and nobody's mistake."""

    def __init__(self, iteration: int, loss: float) -> None:
        super().__init__(iteration, loss)
        self.iteration = iteration
        self.loss = loss

    def __str__(self) -> str:
        return f"diverged at iteration {self.iteration}: the loss is {self.loss}"


class MaskedTraining:
    """The training of `model`, in place, on `data.splits["train"]`, with the weights that `masks` removes held at zero.

    `masks` None trains dense. The learning rate follows `recipe` over `total_iterations`. Batches, augmentation and
    dropout are functions of `seed` alone; the global generators are left as they were. On a GPU the network works in
    channels_last and bfloat16 autocast. Raises `InputError` when the masks do not fit the model.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        masks: MaskSet | None,
        data: Data,
        recipe: Recipe,
        total_iterations: int,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        if total_iterations < 0:
            raise InputError(f"total_iterations must be at least 0, but got {total_iterations}.")
        self.device = torch.device(device)
        self.model = model.to(self.device)
        if self.device.type == "cuda":
            _to_channels_last(self.model)
        self.data = data.to(self.device)
        self.recipe = recipe
        self.total_iterations = total_iterations
        self.iteration = 0
        self._seed = seed
        self._weights, self._masks = _masked_parameters(self.model, masks)
        self._digest = masks.digest() if masks is not None else None
        self._zero_removed_weights()
        self._optimizer = recipe.build_optimizer(self.model.parameters())
        self._generator = torch.Generator().manual_seed(derive(seed, "batches"))
        self._epoch_start = self._generator.get_state()
        self._epoch = batches_per_epoch(self.data.splits["train"], recipe.batch_size)
        self._batches = self._new_batches()

    def run(self, iterations: int) -> float:
        """Train for `iterations` more and return their mean training loss.

        Raises `Diverged` when a loss is not finite (on the CPU at once, on a GPU at the end of the call), and
        `InputError` for fewer than 1 iteration, or more than are left of `total_iterations`.
        """
        if not 1 <= iterations <= self.total_iterations - self.iteration:
            left = self.total_iterations - self.iteration
            raise InputError(f"iterations must lie between 1 and the {left} that are left, but got {iterations}.")
        self.model.train()
        total = torch.zeros((), device=self.device)
        with self._own_randomness():
            for _ in range(iterations):
                total += self._step()
        mean = total.item() / iterations
        if not math.isfinite(mean):
            raise Diverged(self.iteration, mean)
        return mean

    @torch.no_grad()
    def accuracy(self, split: Split | str) -> float:
        """Return the fraction of `split` (one of the data's, or its name) classified correctly, in [0, 1].

        Batch normalisation uses its running statistics. Raises `Diverged` when an output is NaN.
        """
        split = self.data.splits[split] if isinstance(split, str) else split
        self.model.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        invalid = torch.zeros((), dtype=torch.bool, device=self.device)
        for images, labels in evaluation_batches(split, EVALUATION_BATCH):
            with self._autocast():
                logits = self.model(self._placed(images))
            correct += (logits.argmax(dim=1) == labels.to(self.device)).sum()
            invalid |= logits.isnan().any()
        if invalid:
            raise Diverged(self.iteration, math.nan)
        return correct.item() / len(split)

    def state_dict(self) -> dict[str, object]:
        """Return a copy of all that the training depends on, for `load_state_dict`; a CPU resumes bit for bit."""
        at_start = self.iteration % self._epoch == 0
        return {
            "model": {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()},
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "iteration": self.iteration,
            "generator": self._generator.get_state() if at_start else self._epoch_start.clone(),
            "seed": self._seed,
            "mask_digest": self._digest,
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from what `state_dict` returned. Raises `InputError` for the state of another mask or seed."""
        for key, own in (("mask_digest", self._digest), ("seed", self._seed)):
            if state[key] != own:
                raise InputError(f"this is the state of another training: its {key} is {state[key]}, expected {own}.")
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.iteration = state["iteration"]
        self._epoch_start = state["generator"].clone()
        self._generator.set_state(self._epoch_start)
        self._batches = self._new_batches()

    def _step(self) -> torch.Tensor:
        if self.iteration % self._epoch == 0:
            self._epoch_start = self._generator.get_state()
        self._seed_step()
        images, labels = next(self._batches)
        with self._autocast():
            logits = self.model(self._placed(images))
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)
        # On a GPU asking for the value would wait for the step; `run` asks once.
        if self.device.type == "cpu" and not math.isfinite(value := loss.item()):
            raise Diverged(self.iteration, value)
        self._optimizer.zero_grad()
        loss.backward()
        rate = self.recipe.learning_rate_at(self.iteration, self.total_iterations)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._zero_removed_weights()
        self.iteration += 1
        return loss.detach()

    @torch.no_grad()
    def _zero_removed_weights(self) -> None:
        if self._weights:
            torch._foreach_mul_(self._weights, self._masks)

    def _new_batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        skip = self.iteration % self._epoch
        train = self.data.splits["train"]
        return batches(train, self.recipe.batch_size, self._generator, self.data.augment, skip)

    def _placed(self, images: torch.Tensor) -> torch.Tensor:
        layout = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        return images.to(self.device).contiguous(memory_format=layout)

    def _autocast(self) -> contextlib.AbstractContextManager:
        return torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.device.type == "cuda")

    def _own_randomness(self) -> contextlib.AbstractContextManager:
        return torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else [])

    def _seed_step(self) -> None:
        """Make dropout, which draws from the global generators, a function of seed and iteration: resumable."""
        seed = derive(self._seed, "dropout", self.iteration)
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(seed)


def _to_channels_last(model: torch.nn.Module) -> None:
    """Store the weights of 2-d convolutions so, in place; `Module.to` refuses a network that has 3-d ones as well."""
    for weight in model.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


def _masked_parameters(model: torch.nn.Module, masks: MaskSet | None) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the masked weights, and the masks in the weights' dtype, device and layout."""
    if masks is None:
        return [], []
    parameters = dict(model.named_parameters())
    fitted = check_fits(masks, parameters)
    weights = [parameters[name].detach() for name in fitted]
    return weights, [torch.empty_like(w).copy_(torch.tensor(m)) for w, m in zip(weights, fitted.values(), strict=True)]
