"""Studies that come with the package, one TOML file each; `fullspectrum search NAME` runs them by name."""
