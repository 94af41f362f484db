"""The server's settings: command line, environment, files, and the limits they set."""
