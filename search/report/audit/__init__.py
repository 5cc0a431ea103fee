"""The audit: which score was worth trusting, in a study or in any table of masks and accuracies."""
