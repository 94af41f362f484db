"""Requests over HTTP/1.1: connections, the requests sent over them, and how replies are read and checked."""
