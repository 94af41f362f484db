"""Requests over HTTP/1.1: connections, what is sent over them, and what is made of the replies."""
