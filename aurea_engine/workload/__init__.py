"""Which jobs arrive, and when: jobs, arrivals, distributions, schedulers, and the random streams they draw from."""
