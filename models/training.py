"""Training under a mask: a removed weight is exactly zero after every optimizer step."""

import contextlib
import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import torch
from torch.nn import functional

from .average import WeightAverage
from .batches import batches, batches_per_epoch, evaluation_batches
from .compilation import compiled
from .dataset import Data, Split
from .errors import InputError
from .maskrules.rule import Fixed, MaskRule
from .masks import MaskSet
from .placement import autocast, image_dtype, own_randomness, place_images, place_network, seed_generators
from .recipe import Recipe
from .seeds import derive
from .trainingstate import Identity, TrainingState, copied, copied_optimizer
from .weightmasks import WeightMasks

__all__ = ["Diverged", "MaskedTraining", "Recipe"]

#: Images at a time: it takes many to keep a GPU busy, and the caches of a CPU hold the activations of few.
EVALUATION_BATCH, EVALUATION_BATCH_ON_GPU = 128, 512


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

    `masks` None trains dense; `rule`, by default the one that the recipe names, changes them on the way. The learning
    rate follows `recipe` over `total_iterations`, or over each of the rounds that the rule divides them into. Batches,
    augmentation, dropout and what the rule draws are functions of `seed` alone; the global generators are left as they
    were. On a GPU the network works in channels_last and bfloat16 autocast. The model holds the weights that are
    trained, `accuracy` measures their moving average where the recipe asks for one. Raises `InputError` when the masks
    do not fit the model, where the rule breaks its counts, and where it has no time to reach them.
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
        rule: MaskRule | None = None,
    ) -> None:
        if total_iterations < 0:
            raise InputError(f"total_iterations must be at least 0, but got {total_iterations}")
        self.device = torch.device(device)
        self.model = place_network(model, self.device)
        self._dtype = image_dtype(self.model)
        self.data = data.to(self.device)
        self.recipe = recipe
        self.total_iterations = total_iterations
        self.iteration = 0
        self._seed = seed
        # Without masks there is nothing to change, and the learning rate follows its plain schedule.
        self._rule = Fixed() if masks is None else rule or recipe.build_mask_rule()
        self._masks = WeightMasks(self.model, masks, self._rule, total_iterations)
        self._identity: Identity = {
            "mask_digest": masks.digest() if masks is not None else None,
            "rule": repr(self._rule),
            "seed": seed,
            "recipe": asdict(recipe),
            "total_iterations": total_iterations,
        }
        self._masks.zero_removed_weights()
        self._forward = compiled(self.model) if recipe.compile else self.model
        self._average = WeightAverage(self.model, recipe.ema) if recipe.ema else None
        self._optimizer = recipe.build_optimizer(self.model.parameters())
        self._generator = torch.Generator().manual_seed(derive(seed, "batches"))
        self._epoch_start = self._generator.get_state()
        self._epoch = batches_per_epoch(self.data.splits["train"], recipe.batch_size)
        self._batches = self._new_batches()

    @property
    def masks_change(self) -> bool:
        """Whether any change of the masks is due in the whole training."""
        return any(
            self._rule.due(iteration, self.total_iterations) for iteration in range(1, self.total_iterations + 1)
        )

    @property
    def masks(self) -> MaskSet | None:
        """The masks of now, under the names of the model's parameters; None of a dense training."""
        return self._masks.mask_set

    def run(self, iterations: int) -> float:
        """Train for `iterations` more and return their mean training loss.

        Raises `Diverged` when a loss is not finite (on the CPU at once, on a GPU at the end of the call), and
        `InputError` for fewer than 1 iteration, or more than are left of `total_iterations`.
        """
        if not 1 <= iterations <= self.total_iterations - self.iteration:
            left = self.total_iterations - self.iteration
            raise InputError(f"iterations must lie between 1 and the {left} that are left, but got {iterations}")
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
            return copied(self.model.state_dict())

    def state_dict(self) -> TrainingState:
        """Return a copy, on the CPU, of all that the training depends on, for `load_state_dict`.

        A CPU resumes bit for bit. `torch.load(weights_only=True)` reads what `torch.save` makes of it.
        """
        at_start = self.iteration % self._epoch == 0
        return {
            "model": copied(self.model.state_dict()),
            "optimizer": copied_optimizer(self._optimizer.state_dict()),
            "average": self._average.state_dict() if self._average else None,
            "masks": self._masks.state_dict(),
            "iteration": self.iteration,
            "generator": self._generator.get_state() if at_start else self._epoch_start.clone(),
            **self._identity,
        }

    def load_state_dict(self, state: TrainingState) -> None:
        """Continue from what `state_dict` returned.

        Raises `InputError` for the state of another mask at the start, rule, seed, recipe or length.
        """
        for key, own in self._identity.items():
            if (given := state.get(key)) != own:
                raise InputError(f"this is the state of another training: its {key} is {given}, expected {own}")
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        if self._average and state["average"]:
            self._average.load_state_dict(state["average"])
        self._masks.load_state_dict(state["masks"])
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
        due = self._rule.due(self.iteration + 1, self.total_iterations)
        gradients = self._masks.gradients() if due else {}
        if self.recipe.gradient_clip:
            self._clip_gradient()
        position, length = self._rule.learning_rate_span(self.iteration, self.total_iterations)
        rate = self.recipe.learning_rate_at(position, length)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._masks.zero_removed_weights()
        if gradients:
            self._change_masks(gradients)
        if self._average:
            self._average.update(self.iteration)
        self.iteration += 1
        return loss.detach()

    @torch.no_grad()
    def _change_masks(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Update the masks: regrown weights start at zero, and the optimizer knows nothing of their past."""
        iteration = self.iteration + 1
        generator = torch.Generator().manual_seed(derive(self._seed, "mask", iteration))
        regrown = self._masks.update(gradients, iteration, generator)
        self._masks.zero_removed_weights()
        for weight, where in regrown.items():
            for value in self._optimizer.state.get(weight, {}).values():
                if isinstance(value, torch.Tensor) and value.shape == weight.shape:
                    value.masked_fill_(where, 0)
        if self._average:
            self._average.zero_removed_weights(self._masks.tensors)

    def _clip_gradient(self) -> None:
        """Scale the gradient down to the norm asked for; that of removed weights, which are not trained, is no part."""
        self._masks.zero_removed_gradients()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        with autocast(self.device):
            return self._forward(place_images(images, self.device, self._dtype))

    def _measured_weights(self) -> contextlib.AbstractContextManager[None]:
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def _new_batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        skip = self.iteration % self._epoch
        train = self.data.splits["train"]
        return batches(train, self.recipe.batch_size, self._generator, self.data.augment, skip)

    def _seed_step(self) -> None:
        """Make dropout, which draws from the global generators, a function of seed and iteration: resumable."""
        seed_generators(derive(self._seed, "dropout", self.iteration), self.device)
