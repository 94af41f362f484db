"""Capacity searches of this server: one entry of the queue each, whose trials are runs of the history."""
