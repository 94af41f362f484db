"""The process that executes runs. The server starts and watches it (`supervisor`, `workshop`) and imports none of what
runs in it (`child`, `judging`): what a job does to its process, it does to that one.
"""
