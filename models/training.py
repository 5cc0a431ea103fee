"""Training under a mask: a removed weight is exactly zero after every optimizer step."""

import contextlib
import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch.nn import functional

from .average import WeightAverage
from .batches import batches, batches_per_epoch, evaluation_batches
from .compilation import compiled
from .dataset import Data, Split
from .errors import InputError
from .masks import MaskSet, check_fits
from .placement import autocast, own_randomness, place_images, place_network, seed_generators
from .recipe import Recipe
from .seeds import derive

__all__ = ["Diverged", "MaskedTraining", "Recipe"]

EVALUATION_BATCH, EVALUATION_BATCH_ON_GPU = 128, 512
"""Images at a time: it takes many to keep a GPU busy, and the caches of a CPU hold the activations of few."""


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
    channels_last and bfloat16 autocast. The model holds the weights that are trained, `accuracy` measures their moving
    average where the recipe asks for one. Raises `InputError` when the masks do not fit the model.
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
        self.model = place_network(model, self.device)
        self.data = data.to(self.device)
        self.recipe = recipe
        self.total_iterations = total_iterations
        self.iteration = 0
        self._seed = seed
        self._weights, self._masks = _masked_parameters(self.model, masks)
        self._identity = {
            "mask_digest": masks.digest() if masks is not None else None,
            "seed": seed,
            "recipe": asdict(recipe),
            "total_iterations": total_iterations,
        }
        self._zero_removed_weights()
        self._forward = compiled(self.model) if recipe.compile else self.model
        self._average = WeightAverage(self.model, recipe.ema) if recipe.ema else None
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
        with own_randomness(self.device):
            for _ in range(iterations):
                total += self._step()
        mean = total.item() / iterations
        if not math.isfinite(mean):
            raise Diverged(self.iteration, mean)
        return mean

    @torch.no_grad()
    def accuracy(self, split: Split | str) -> float:
        """Return the fraction of `split` (one of the data's, or its name) classified correctly, in [0, 1].

        Batch normalisation uses its running statistics, averaged where the weights are. Raises `Diverged` when
        an output is NaN.
        """
        split = self.data.splits[split] if isinstance(split, str) else split
        size = EVALUATION_BATCH_ON_GPU if self.device.type == "cuda" else EVALUATION_BATCH
        self.model.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        invalid = torch.zeros((), dtype=torch.bool, device=self.device)
        with self._measured_weights():
            for images, labels in evaluation_batches(split, size):
                logits = self._logits(images)
                correct += (logits.argmax(dim=1) == labels.to(self.device)).sum()
                invalid |= logits.isnan().any()
        if invalid:
            raise Diverged(self.iteration, math.nan)
        return correct.item() / len(split)

    def measured_state(self) -> dict[str, torch.Tensor]:
        """Return a copy of the model's state dict, on the CPU, with the weights that `accuracy` measures."""
        with self._measured_weights():
            return _copied(self.model.state_dict())

    def state_dict(self) -> dict[str, object]:
        """Return a copy, on the CPU, of all that the training depends on, for `load_state_dict`.

        A CPU resumes bit for bit. `torch.load(weights_only=True)` reads what `torch.save` makes of it.
        """
        at_start = self.iteration % self._epoch == 0
        return {
            "model": _copied(self.model.state_dict()),
            "optimizer": _copied_optimizer(self._optimizer.state_dict()),
            "average": self._average.state_dict() if self._average else None,
            "iteration": self.iteration,
            "generator": self._generator.get_state() if at_start else self._epoch_start.clone(),
            **self._identity,
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from what `state_dict` returned.

        Raises `InputError` for the state of another mask, seed, recipe or length.
        """
        for key, own in self._identity.items():
            if (given := state.get(key)) != own:
                raise InputError(f"this is the state of another training: its {key} is {given}, expected {own}.")
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        if self._average:
            self._average.load_state_dict(state["average"])
        self.iteration = state["iteration"]
        self._epoch_start = state["generator"].clone()
        self._generator.set_state(self._epoch_start)
        self._batches = self._new_batches()

    def _step(self) -> torch.Tensor:
        if self.iteration % self._epoch == 0:
            self._epoch_start = self._generator.get_state()
        self._seed_step()
        images, labels = next(self._batches)
        logits = self._logits(images).float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        # On a GPU asking for the value would wait for the step; `run` asks once.
        if self.device.type == "cpu" and not math.isfinite(value := loss.item()):
            raise Diverged(self.iteration, value)
        self._optimizer.zero_grad()
        loss.backward()
        if self.recipe.gradient_clip:
            self._clip_gradient()
        rate = self.recipe.learning_rate_at(self.iteration, self.total_iterations)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._zero_removed_weights()
        if self._average:
            self._average.update(self.iteration)
        self.iteration += 1
        return loss.detach()

    @torch.no_grad()
    def _zero_removed_weights(self) -> None:
        if self._weights:
            torch._foreach_mul_(self._weights, self._masks)

    def _clip_gradient(self) -> None:
        """Scale the gradient down to the norm asked for; that of removed weights, which are not trained, is no part."""
        pairs = [(w.grad, mask) for w, mask in zip(self._weights, self._masks, strict=True) if w.grad is not None]
        if pairs:
            torch._foreach_mul_(*zip(*pairs, strict=True))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        with autocast(self.device):
            return self._forward(place_images(images, self.device))

    def _measured_weights(self) -> contextlib.AbstractContextManager:
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def _new_batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        skip = self.iteration % self._epoch
        train = self.data.splits["train"]
        return batches(train, self.recipe.batch_size, self._generator, self.data.augment, skip)

    def _seed_step(self) -> None:
        """Make dropout, which draws from the global generators, a function of seed and iteration: resumable."""
        seed_generators(derive(self._seed, "dropout", self.iteration), self.device)


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state with its tensors copied to the CPU."""
    return {
        name: value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value
        for name, value in state.items()
    }


def _copied_optimizer(state: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer's state, copied to the CPU: a GPU that trains may have no room for a second one."""
    moments = {number: _copied(of_weight) for number, of_weight in state["state"].items()}
    return {"state": moments, "param_groups": copy.deepcopy(state["param_groups"])}


def _masked_parameters(
    model: torch.nn.Module, masks: MaskSet | None
) -> tuple[list[torch.nn.Parameter], list[torch.Tensor]]:
    """Return the masked weights, and the masks in the weights' dtype, device and layout."""
    if masks is None:
        return [], []
    parameters = dict(model.named_parameters())
    fitted = check_fits(masks, parameters)
    weights = [parameters[name] for name in fitted]
    return weights, [
        torch.empty_like(w, requires_grad=False).copy_(torch.tensor(m))
        for w, m in zip(weights, fitted.values(), strict=True)
    ]
