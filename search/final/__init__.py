"""Full training: the best masks, the baselines, and the checks of a mask."""
