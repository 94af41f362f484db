"""The process that executes runs, started and watched by `aurea_server.runner.supervisor`; the server imports none of it."""
