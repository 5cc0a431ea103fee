"""Networks, datasets, mask sets, mask file formats and masked training."""
