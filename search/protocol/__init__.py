"""The values that pass between driver, workers, store and record: proposals, reports, outcomes, names."""
