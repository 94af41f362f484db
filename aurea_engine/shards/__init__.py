"""One run in several processes at once: its shards start together, and their parts become one result.

| module | what is in it |
|---|---|
| `split` | what each shard runs, how many there are, and what cannot be cut |
| `transport` | the contract between the coordinator and whatever runs a shard |
| `coordinator` | start, progress, stops, losses and the end of the whole run |
| `merged_judge` | objectives that end the run, judged by the parts of all shards |
| `lost_shards` | what a result knows of a shard that was lost |
| `local` | shards in processes of this machine; `run_sharded` |
| `loss_watch` | whether a process is frozen |
| `process_runner` | the runs of a study over processes of this machine |
"""
