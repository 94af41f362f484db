"""The Prometheus metrics: families, exemplars, and the exposition formats."""
