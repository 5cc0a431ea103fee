"""What a study came to: leaderboard, verdicts, status, plots."""
