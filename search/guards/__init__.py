"""What is checked, and repaired, before a mask may train: layers, paths, channels, shortcuts."""
