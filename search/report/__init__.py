"""The report of a study: leaderboard, verdicts, status, plots."""
