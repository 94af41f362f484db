// One run as the view shows it, live or ended: the members of a result, as far as they are known.
//
// While a run is on, its progress has the same figures under other names. They are brought into the shape of a result
// here, so that everything that draws knows one shape, and the name of a figure is its path in the result.

const FINAL = ["completed", "failed", "cancelled", "timed_out", "aborted", "interrupted"];

export const hasEnded = (run) => FINAL.includes(run.status);

/** The run as a result, from what `GET /benchmark/runs/ID` answers. */
export function shape(run) {
  return hasEnded(run) ? ended(run) : underWay(run, run.progress);
}

/** The run with what a `progress` event says. */
export const advance = (run, progress) => underWay({ ...run, status: "running" }, progress);

function ended(run) {
  return {
    ...run,
    isActive: false,
    hasResult: run.cost !== undefined,
    label: run.label ?? run.spec?.label ?? null,
    counts: run.counts ?? { arrived: run.num_jobs, completed: run.completed_jobs },
    cost: run.cost ?? { currency: run.currency ?? "USD", total: run.total_cost, per_success: null },
    groups: (run.groups ?? []).map((group) => ({
      ...group,
      failed: group.counts.failed + group.counts.timed_out,
    })),
    objectives: run.objectives ?? [],
    findings: run.findings ?? [],
    shards: run.shards ?? [],
    failures: run.failures ?? {},
    statuses: run.statuses ?? {},
  };
}

function underWay(run, progress) {
  const soFar = progress?.so_far ?? {};
  const bound = (run.spec?.objectives ?? []).map((each) => ({
    objective: nameObjective(each),
    metric: each.metric,
    outcome: "inconclusive",
    observed: null,
    interval: null,
    detail: "no job has ended",
  }));
  return {
    ...run,
    progress,
    isActive: true,
    clock: run.spec?.clock,
    counts: { arrived: progress?.arrived ?? 0, completed: 0, ...progress?.counts },
    throughput: progress?.throughput ?? null,
    duration: progress?.elapsed ?? null,
    utilization: progress?.utilization ?? null,
    concurrency: { now: progress?.in_flight ?? null, waiting: progress?.queued ?? null },
    response_time: soFar.response_time ?? {},
    service_time: { mean: progress?.mean_latency ?? null },
    cost: {
      currency: soFar.currency ?? "USD",
      total: progress?.cost ?? null,
      per_success: soFar.cost_per_success ?? null,
      per_good: soFar.cost_per_good ?? null,
    },
    objectives: soFar.objectives?.length ? soFar.objectives : bound,
    findings: run.findings ?? [],
    groups: (soFar.groups ?? []).map((group) => ({
      name: group.name,
      failed: group.failed,
      counts: { arrived: group.arrived, completed: group.completed },
      response_time: { p50: group.p50, p99: group.p99 },
    })),
    moreGroups: soFar.more_groups ?? 0,
    failures: soFar.failures ?? {},
    statuses: soFar.statuses ?? {},
    shards: soFar.shards ?? [],
  };
}

function nameObjective({ metric, quantile, at_most: most, at_least: least }) {
  const which = quantile ? `p${+(quantile * 100).toPrecision(6)} ` : "";
  const bound = most === null || most === undefined ? `>= ${least}` : `<= ${most}`;
  return `${which}${metric.replaceAll("_", " ")} ${bound}`;
}

/**
 * What to post to run it once more: its specification, and beside it in how many processes and how often it ran, which are
 * no part of that. While the run is on, they are what its progress tells of them.
 */
export function requestOf({ spec, environment = {}, repeat, progress }) {
  const processes = environment.processes ?? progress?.so_far?.shards?.length;
  const times = repeat?.asked ?? progress?.replications;
  return {
    ...spec,
    ...(processes > 1 && { processes }),
    ...(environment.on_loss === "continue" && { on_loss: environment.on_loss }),
    ...(times && { repeat: times }),
    ...(repeat?.until && { until: repeat.until }),
  };
}

/** While the run is on, where in its resource the figure is that will be at `path` of the result. */
const LIVE = [
  [/^(throughput|utilization)$/, "progress.$1"],
  [/^duration$/, "progress.elapsed"],
  [/^cost\.total$/, "progress.cost"],
  [/^cost\.per_/, "progress.so_far.cost_per_"],
  [/^counts\.arrived$/, "progress.arrived"],
  [/^counts\./, "progress.counts."],
  [/^(response_time|objectives|groups|failures|statuses|shards)\./, "progress.so_far.$1."],
];

export function pathOf(run, path) {
  const [pattern, instead] = (run.isActive && LIVE.find(([each]) => each.test(path))) || [];
  return pattern ? path.replace(pattern, instead) : path;
}

/** The value at a path such as `response_time.p99`. */
export const at = (run, path) => path.split(".").reduce((value, name) => value?.[name], run) ?? null;
