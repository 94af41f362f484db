"""From what was measured to the result: statistics, findings, objectives, theory."""
