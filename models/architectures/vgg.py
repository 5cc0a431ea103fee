"""The VGG networks for small images: VGG-16 and VGG-19 with batch normalisation."""

from functools import partial

import torch
from torch import nn

from ..task import Task

#: Pixels a side: four poolings halve the resolution.
LEAST_SIZE = 16

#: Channels of the convolutions between two poolings: configurations D and E of the paper.
_STAGES = {
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    19: ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)),
}


class VGG(nn.Module):
    """VGG-16 or 19 of Simonyan and Zisserman (ICLR 2015) as the literature of pruning at initialisation trains it.

    Batch normalisation after each convolution; average pooling over the whole image instead of the last max pooling;
    one linear layer. Convolutions have a bias, as in SynFlow (Tanaka et al., NeurIPS 2020) and Frankle et al. (ICLR
    2021); GraSP leaves it out. Parameters are called as in torchvision's VGG, and there are 14,728,266 at depth 16 and
    20,040,522 at 19 for `Task(3, 32, 10)`. Weights start at the normal distribution of He et al. (ICCV 2015), fan in,
    biases at 0, as in SynFlow. Raises `InputError` for images below `LEAST_SIZE` pixels.
    """

    def __init__(self, task: Task, depth: int) -> None:
        task.require_size(LEAST_SIZE, f"vgg{depth}-bn")
        super().__init__()
        self.features = nn.Sequential()
        inputs = task.channels
        for stage in _STAGES[depth]:
            if len(self.features):
                self.features.append(nn.MaxPool2d(2))
            for outputs in stage:
                self.features.extend([nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()])
                inputs = outputs
        self.classifier = nn.Linear(inputs, task.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.get_parameter("bias"))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, classes), of normalised images (N, channels, size, size)."""
        logits: torch.Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits


vgg16_bn, vgg19_bn = (partial(VGG, depth=depth) for depth in (16, 19))
