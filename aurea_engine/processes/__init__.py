"""Supervised Python processes: started, given orders, heard, stopped, and never left behind.

A supervisor (a server, a study, a sharded run) starts a process by `supervisor.SupervisedProcess`. In it runs a *program*
(`child`), which handles one order after the other.

| module | side | what is in it |
|---|---|---|
| `supervisor`, `spawn` | supervisor | start, orders and answers, the kill ladder, what is known of an end |
| `keeper`, `guard`, `linux` | process | nothing that a job starts outlives it |
| `child`, `__main__` | process | limits, orders, stops, progress |
| `frames`, `messages`, `reasons` | both | what is said, and how it is checked |
"""
