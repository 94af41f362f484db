"""Jobs that send requests to something real, and what decides where they may send."""
