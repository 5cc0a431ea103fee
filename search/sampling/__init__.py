"""How a mask is sampled: allocation of a sparsity to layers, draws, and the distribution of a trial's candidates."""
