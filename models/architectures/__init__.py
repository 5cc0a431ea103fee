"""Network definitions, one file each."""
