"""Rules by which a mask changes while a network trains, one file each."""
