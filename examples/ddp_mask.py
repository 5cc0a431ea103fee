"""A mask in a data-parallel loop of your own, after an export in our own format.

Run it as `torchrun --standalone --nproc-per-node 2 ddp_mask.py best.safetensors`.
"""

import sys

import torch
from fullspectrum.models import MaskSet, apply
from fullspectrum.models.networks import Task, build
from fullspectrum.models.weights import load_state
from torch import distributed
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

distributed.init_process_group("gloo")
rank = distributed.get_rank()
masks = MaskSet.load(sys.argv[1])
network = build("digits_cnn", Task(channels=1, size=8, classes=10), seed=0)
network.load_state_dict(load_state(sys.argv[1].replace(".safetensors", ".init.safetensors")))
# First the mask, as it makes parameters of another name; then the wrapper, which looks for the parameters once.
model = DistributedDataParallel(apply(network, masks))

optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
generator = torch.Generator().manual_seed(rank)
for _ in range(5):
    images, labels = torch.rand(16, 1, 8, 8, generator=generator), torch.randint(10, (16,), generator=generator)
    optimizer.zero_grad()
    cross_entropy(model(images), labels).backward()
    optimizer.step()

network.eval()(images)
for name, mask in masks.items():
    weight = network.get_submodule(name.removesuffix(".weight")).weight.detach()
    assert not weight.numpy()[~mask].any()
    first = weight.clone()
    distributed.broadcast(first, src=0)
    assert torch.equal(weight, first)
if rank == 0:
    print(
        f"{len(masks)} layers masked alike in {distributed.get_world_size()} processes, sparsity {masks.sparsity:.4f}"
    )
distributed.destroy_process_group()
