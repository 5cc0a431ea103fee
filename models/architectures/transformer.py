"""The transformers of torchvision that are made for one image size, fitted to another."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import InputError
from ..task import Task
from .stem import replace_first_convolution

if TYPE_CHECKING:
    from torchvision.models import VisionTransformer

#: Pixels a side of the patches that a vision transformer cuts small images into.
SMALL_PATCH = 4

#: MaxViT-T of Tu et al. (ECCV 2022) as torchvision builds it, but for the sizes.
_MAXVIT_T = {
    "stem_channels": 64,
    "block_channels": [64, 128, 256, 512],
    "block_layers": [2, 2, 5, 2],
    "head_dim": 32,
    "stochastic_depth_prob": 0.2,
}
_MAXVIT_WINDOW = 7
#: Of the stem, by 2, and of four stages.
_MAXVIT_REDUCTION = 32


def fit_vision_transformer(name: str, model: "VisionTransformer", size: int, small: bool) -> list[str]:
    """Make a `torchvision.models.VisionTransformer` take images of `size` pixels; return what was done, in sentences.

    `small` images are cut into patches of `SMALL_PATCH` pixels a side. Raises `InputError` where the patches do not
    fill the image.
    """
    done, patch = [], model.patch_size
    if small:
        replace_first_convolution(model, kernel_size=SMALL_PATCH, stride=SMALL_PATCH)
        done.append(f"stem: patches of {patch} x {patch} pixels made {SMALL_PATCH} x {SMALL_PATCH}")
        patch = SMALL_PATCH
    _require_multiple(name, size, patch)
    tokens = (size // patch) ** 2 + 1
    if tokens != model.seq_length:
        positions = torch.empty(1, tokens, model.hidden_dim)
        model.encoder.pos_embedding = nn.Parameter(positions.normal_(std=0.02))
        done.append(f"positions: {tokens} in place of {model.seq_length}")
    model.image_size, model.patch_size, model.seq_length = size, patch, tokens
    return done


def maxvit_t(task: Task, small: bool) -> tuple[nn.Module, list[str]]:
    """Build torchvision's MaxViT-T for images of `task.size` pixels; return it with what was changed, in sentences.

    As published, the last stage is a single window. For `small` images the stem is reckoned without a stride, which
    `shrink_stem` is to take away. Raises `InputError` where such windows do not fill the image.
    """
    from torchvision.models import MaxVit

    # The constructor reckons with the stride of the published stem.
    scale = 2 if small else 1
    _require_multiple("maxvit_t", task.size, _MAXVIT_REDUCTION // scale)
    size = scale * task.size
    window = size // _MAXVIT_REDUCTION
    model = MaxVit(input_size=(size, size), partition_size=window, num_classes=task.classes, **_MAXVIT_T)
    was = _MAXVIT_WINDOW
    return model, [] if window == was else [f"attention: windows and grids of {was} x {was} made {window} x {window}"]


def _require_multiple(name: str, size: int, step: int) -> None:
    if size % step:
        raise InputError(
            f"torchvision:{name} needs images whose side is a multiple of {step} pixels, but got {size} x {size}"
        )
