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
| `dask_shard` | shards on the workers of a Dask cluster; `run_on_dask` |
| `dask_address` | where a cluster is, who may be trusted, and a first contact |
| `dask_link` | the coordinator's end of the process in which Dask's client runs |
| `dask_client` | the program of that process, which alone imports Dask here |
| `dask_cluster`, `dask_handshake` | whether all workers would run the same |
| `dask_workers` | the workers, and which shard goes to which |
| `dask_clock` | how far the clock of another machine is ahead |
| `dask_task` | what runs on a worker: a relay to a supervised process |
| `process_runner`, `dask_runner` | the runs of a study over processes of this machine, or on a cluster |
"""
