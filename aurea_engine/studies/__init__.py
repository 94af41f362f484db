"""Several runs that answer one question: replications, a comparison, a capacity search, a what-if.

A study never asks where its runs are executed: a `Runner` is handed to it. The values that studies answer with are in
`aurea_engine.results`, where the codec and the pages can reach them.

| module | what is in it |
|---|---|
| `repeat` | replications of a run, side by side or one after the other; how often is in `repetition` |
| `combined_result`, `combined_judgement`, `combined_bill` | the one result of several runs: figures, verdict, money |
| `replication_figures`, `figure_spread` | a figure over replications: mean, interval, spread, outlying ones |
| `repeat_progress` | what observers are told of a repeated run |
| `run_stop` | the stop of one run of a study |
| `what_if` | a recorded run replayed under other conditions, by `replays` |
| `recorded_sample` | what of a recorded run is replayed, and what in it speaks against that |
| `scaled_arrivals` | the same arrivals at another rate |
| `compare` | is run B slower than run A, or was it chance? |
| `comparability` | may the two be compared at all, and what differs |
| `figure_draws` | how far each figure of a run may be off: by `record_draws`, `histogram_draws`, `replication_draws` |
| `block_bootstrap` | drawing again from a run whose neighbouring jobs are alike |
| `shifts` | from two figures to a shift, its interval and a word; the correction for many figures |
| `runner` | the contract with what executes the runs of a study, and the one that executes them here |
| `capacity` | the largest rate, or the fewest slots, at which objectives hold, and what that costs |
| `capacity_search` | the search as a state machine, of the steps in `search_bracket` and `search_verification` |
| `search_votes` | how trials decide: majorities, and replications on fresh seeds |
| `trial_specs`, `trial_judgement` | what a trial runs, and what its run says |
"""
