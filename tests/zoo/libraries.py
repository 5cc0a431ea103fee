"""Networks of libraries, with random weights; small.

The libraries are imported where they are used, because it takes seconds.
"""

from torch import nn


def timm_convnext(channels: int, size: int, classes: int) -> nn.Module:
    """A ConvNeXt of timm."""
    import timm

    settings = {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16), "stem_type": "patch", "patch_size": 1}
    return timm.create_model("convnext_atto", in_chans=channels, num_classes=classes, **settings)


def timm_vit(channels: int, size: int, classes: int) -> nn.Module:
    """A vision transformer of timm."""
    import timm

    settings = {"img_size": size, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
    return timm.create_model("vit_tiny_patch16_224", in_chans=channels, num_classes=classes, **settings)


class Logits(nn.Module):
    """A network of Transformers that returns its logits alone."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images).logits


def transformers_vit(channels: int, size: int, classes: int) -> nn.Module:
    """A vision transformer of Transformers."""
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    images = {"image_size": size, "patch_size": 4, "num_channels": channels}
    return Logits(ViTForImageClassification(ViTConfig(num_labels=classes, **images, **sizes)))
