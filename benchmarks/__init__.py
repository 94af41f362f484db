"""Claims about speed, measured side by side: ``python -m benchmarks`` (needs the ``bench`` extra).

Each module of rows sets contenders the same task and says what is asked of Aurea. A contender is a function that runs in a
fresh interpreter of its own and answers with figures; contenders take turns (A B C, C B A, …), so that a machine that
slows down slows all of them, and what is claimed is a ratio of medians of one and the same session. Nothing leaves the
machine: the jobs are empty, or sleep.
"""
