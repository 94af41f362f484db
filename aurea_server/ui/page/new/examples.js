// Specifications to start from: one for each question that people come with.

const queue = (extent, rest) => ({
  workload: {
    job: { kind: "sleep", duration: { kind: "exponential", mean: 0.06 } },
    arrivals: { kind: "poisson", rate: 55 },
    ...extent,
  },
  scheduler: { kind: "fifo", slots: 4 },
  objectives: [{ metric: "response_time", quantile: 0.99, at_most: 0.5 }],
  ...rest,
});

/** {name, about: what it shows, specification}. */
export const EXAMPLES = [
  {
    name: "A queue, simulated",
    about: "Four servers at 82 % for 18 minutes, in virtual time: it takes a fraction of a second.",
    specification: queue({ jobs: 60000 }, { clock: "virtual", label: "four servers at 82 %" }),
  },
  {
    name: "A queue, for real",
    about: "The same for 20 seconds of real time, to be watched.",
    specification: queue({ duration: 20 }, { label: "four servers, for real" }),
  },
  {
    name: "A ramp",
    about: "The rate grows for 30 seconds, until the slots are full.",
    specification: {
      workload: {
        job: { kind: "sleep", duration: { kind: "lognormal", mean: 0.04, cv: 1 } },
        arrivals: { kind: "ramp", start: 10, end: 120, over: 30 },
        duration: 30,
      },
      scheduler: { kind: "fifo", slots: 4 },
      objectives: [{ metric: "response_time", quantile: 0.95, at_most: 0.2 }],
      label: "a ramp",
    },
  },
  {
    name: "A service over HTTP",
    about: "Requests at a constant rate. The server must allow the target (--allow-target).",
    specification: {
      workload: {
        job: { kind: "http", url: "http://localhost:8080/" },
        arrivals: { kind: "constant", rate: 100 },
        duration: 10,
      },
      objectives: [
        { metric: "response_time", quantile: 0.99, at_most: 0.05 },
        { metric: "failure_ratio", at_most: 0.001 },
      ],
      label: "a service over HTTP",
    },
  },
  {
    name: "A mix",
    about: "Reads and writes, each a group of the result with an objective of its own.",
    specification: {
      workload: {
        job: {
          kind: "mix",
          of: [
            { name: "read", weight: 9, job: { kind: "sleep", duration: { kind: "exponential", mean: 0.01 } } },
            { name: "write", weight: 1, job: { kind: "sleep", duration: { kind: "exponential", mean: 0.08 } } },
          ],
        },
        arrivals: { kind: "poisson", rate: 100 },
        duration: 15,
      },
      scheduler: { kind: "fifo", slots: 4 },
      objectives: [{ metric: "group:read:response_time", quantile: 0.95, at_most: 0.1 }],
      label: "reads and writes",
    },
  },
  {
    name: "A function's bill",
    about: "What a million calls of a serverless function cost.",
    specification: {
      workload: {
        job: { kind: "sleep", duration: { kind: "gamma", mean: 0.05, cv: 0.5 } },
        arrivals: { kind: "poisson", rate: 50 },
        jobs: 5000,
      },
      cost: { kind: "serverless", price: "0.0000166667", request_price: "0.0000002", memory_mb: 512 },
      clock: "virtual",
      label: "as a function",
    },
  },
];
