"""The standard streams, and the files that ``--output`` names."""
