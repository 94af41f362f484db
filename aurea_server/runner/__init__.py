"""The process that executes runs, started and watched by `aurea_server.supervisor`; the server imports none of it."""
