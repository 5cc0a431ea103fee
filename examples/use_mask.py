"""A mask in a training loop of your own: `python use_mask.py best.safetensors`, after an export in our own format."""

import sys

import torch
from fullspectrum.models import MaskSet, apply
from fullspectrum.models.networks import Task, build
from fullspectrum.models.weights import load_state
from torch.nn.functional import cross_entropy

masks = MaskSet.load(sys.argv[1])
model = build("digits_cnn", Task(channels=1, size=8, classes=10), seed=0)
model.load_state_dict(load_state(sys.argv[1].replace(".safetensors", ".init.safetensors")))
# From here on every forward pass uses the masked weights, as after torch.nn.utils.prune: your optimizer, your loop.
apply(model, masks)

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
images, labels = torch.rand(16, 1, 8, 8), torch.randint(10, (16,))
for _ in range(5):
    optimizer.zero_grad()
    cross_entropy(model(images), labels).backward()
    optimizer.step()

for name, mask in masks.items():
    layer = model.get_submodule(name.removesuffix(".weight"))
    assert not layer.weight.detach().numpy()[~mask].any()
print(f"{len(masks)} layers pruned, {masks.sparsity:.1%} of their weights removed")
