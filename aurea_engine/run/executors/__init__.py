"""Executors: what does the work of jobs in real time.

Theory of operation. The pump (`aurea_engine.run.realtime`) decides when a job enters service; an executor then does what the
job's leaf asks for, and says when it was over. Which one is the leaf's to declare (`Job.executor`):

    timers        only time has to pass        a heap of instants; the cheapest, since nothing runs
    tasks         a coroutine has to run       an asyncio task for each job
    cpu_workers   the same, on busy cores      tasks, beside which the pump does not spin
    callbacks     a pool does many at once     no task: the pool calls back

Three rules keep a run simple to reason about, and fast:

1. *An executor starts nothing.* Only the pump starts jobs, never a job's end or another job's first step. So however fast
   jobs end, starts do not nest, and no chain of jobs grows the stack.
2. *An end is logged, not handled.* Whatever ends between two turns of the pump goes as one tuple into
   `ExecutorContext.ends`. The pump takes all of them at its next turn, sorted by instant, and does the bookkeeping of all at
   once: columns in bulk, counts by one addition. The first of a turn rings the bell that wakes the pump; the others find it
   rung.
3. *Each job is stamped by itself.* ``started`` and ``finished`` are read from the clock beside the job's own first and last
   step, whenever the pump comes to look at them. Only timers share a stamp, since nothing of theirs runs.
"""
