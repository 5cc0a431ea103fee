"""The scores that a study can choose masks by."""
