"""A package, so that its browser and its server end with its tests, and not with the session."""
