"""Sampling, gating, training and recording candidate masks: the search itself and its command line."""
