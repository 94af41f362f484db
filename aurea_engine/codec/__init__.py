"""The border between values and JSON or TOML: specifications, results, and the catalog of kinds."""
