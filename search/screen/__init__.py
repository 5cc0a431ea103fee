"""What the terminal shows: console, progress, tables."""
