"""What was measured, as columns: the records of jobs, histograms, and the series over time."""
