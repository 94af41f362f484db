"""The runs of this server: queue, lifecycle, events, and how stored runs are read."""
