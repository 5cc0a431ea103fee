"""The report of a study: leaderboard, verdicts, audit, status, plots."""
