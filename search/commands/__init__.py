"""The commands of the `fullspectrum` command line, one file each."""
