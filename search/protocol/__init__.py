"""What passes between driver, workers, store and record: proposals, reports, outcomes, names."""
