"""The HTTP interface: the app, its operations, and what every request must pass."""
