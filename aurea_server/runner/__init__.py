"""Runner processes as the server uses them: the warm pool, and the program that runs in them.

The server keeps `pool`, `kinds`, `submissions` and `messages`. What is in `program` and `third_party` runs in the process
that `aurea_engine.processes` supervises, and the server imports neither: what a job does to its process, it
does to that one.
"""
