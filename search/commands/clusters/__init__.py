"""`fullspectrum clusters`: the commands about clusters, one file each."""
