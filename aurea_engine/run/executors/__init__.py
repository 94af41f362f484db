"""Executors: what does the work of jobs in real time. `contract` has the theory; each of the others is one kind."""
