"""The terminal: console, progress, tables."""
