"""The weights on paths from the input of a network to its outputs: traced, or estimated by derivatives."""
