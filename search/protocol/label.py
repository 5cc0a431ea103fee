"""The names of full trainings: of trials and of baselines."""

DENSE = "dense"
"""No mask at all."""
ERK_RANDOM = "erk-random"
"""A random mask at the same sparsity, shared among the layers by ERK."""
SHUFFLED = "shuffled"
"""The mask with its kept weights moved at random within each layer: the same layer sparsities, nothing else of it."""
REINITIALISED = "reinitialised"
"""The mask on other initial weights than those it was made for."""
INVERTED = "inverted"
"""The same layer sparsities, but the weights of the lowest scores kept instead of the highest."""

BASELINES = (DENSE, ERK_RANDOM, SHUFFLED, REINITIALISED, INVERTED)

#: What a mask itself becomes in the sanity checks of Su et al. (NeurIPS 2020) and Frankle et al. (ICLR 2021).
CHECKS = (SHUFFLED, REINITIALISED, INVERTED)
