"""Jobs that send requests to real targets, and the rules about which targets are allowed."""
