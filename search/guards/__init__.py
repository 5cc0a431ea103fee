"""Checks of a mask before it may train, and repairs: collapsed layers, paths, dead channels, shortcuts."""
