// A run, live and after: one view, and one way to draw it. Events change what it knows; a frame later that is drawn.

import { badge, card, details, el, fill, heading, href, link, meter } from "../app/dom.js";
import { watch } from "../app/feed.js";
import { follow, movesQueue } from "../app/follow.js";
import { number, tone, words } from "../app/format.js";
import { doEach } from "../app/notices.js";
import { drawActions } from "./actions.js";
import { Distribution } from "./distribution.js";
import { HeatMap } from "./heat_map.js";
import { drawFindings, drawVerdict, Objectives } from "./judgement.js";
import { Points } from "./points.js";
import { pause, readAgainSoon, readRun, readSeries } from "./reading.js";
import { advance, hasEnded } from "./run.js";
import { Slots } from "./slots.js";
import { Tables } from "./tables.js";
import { describeRun, drawTiles, finest, tellSilence } from "./tiles.js";
import { TimeCharts } from "./time_charts.js";

// How soon it is read again: where its place in the queue may be another, and what its findings say by now.
const PLACE_MS = 300;
const FINDINGS_MS = 2000;

export async function show({ main, args: [id], signal, setTitle }) {
  const run = await readRun(id, signal);
  const view = new RunView(main, id, signal, setTitle);
  view.take(run);
  await view.loadSeries();
  if (!view.run.isActive || signal.aborted) return;
  follow(id, (message) => view.hear(message), signal);
  watch((message) => view.hearOfOthers(message), signal);
}

class RunView {
  constructor(main, id, signal, setTitle) {
    Object.assign(this, {
      main,
      id,
      signal,
      setTitle,
      points: new Points(),
      slots: new Slots(),
      drawn: {},
      isDue: false,
      hasNews: false,
      hasFindings: false,
    });
    const part = (name) => (this[name] = el("div", { class: `stack part-${name}` }));
    fill(main, part("head"), part("more"), part("judgement"), part("tilesPlace"));
    this.chartsPlace = el("div", { class: "grid charts over-time" });
    this.silence = el("p", { class: "empty", hidden: true });
    const [heat, pictures, tables, rest] = [
      el("div"),
      el("div", { class: "grid charts" }),
      el("div", { class: "tables" }),
      el("div", { class: "stack" }),
    ];
    main.append(this.silence, this.chartsPlace, heat, pictures, part("findingsPlace"), tables, rest);
    this.rest = rest;
    this.charts = new TimeCharts(this.chartsPlace, signal, (at) => this.heat.follow(at));
    this.heat = new HeatMap(heat, signal, (at) => this.charts.pointAt(at));
    this.distribution = new Distribution(pictures, signal);
    this.tables = new Tables(tables);
    this.objectivesPlace = el("div");
    this.objectives = new Objectives(this.objectivesPlace);
    // What no event tells: its place in the queue, and that a finding says something else by now, or is none any more.
    this.refreshSoon = readAgainSoon(id, signal, ({ isActive, queue_position, findings }) => {
      if (isActive && this.run.isActive) this.take({ ...this.run, queue_position, findings });
    });
  }

  // --- What is known -----------------------------------------------------------------------------------------------

  take(run) {
    this.run = run;
    this.hasFindings ||= run.findings.length > 0;
    this.setTitle(run.label ?? run.benchmark_id);
    this.schedule();
  }

  hear({ kind, number: event, data }) {
    if (kind === "progress") this.progress(data, event === null);
    else if (kind === "finding")
      this.take({ ...this.run, findings: [...this.run.findings.filter(({ code }) => code !== data.code), data] });
    else if (kind === "end") this.finish();
    else if (kind === "deleted") location.hash = href("runs");
    else if (kind === "state" && this.run.status !== data.status && this.run.isActive)
      this.take({ ...this.run, status: data.status });
  }

  /** Any other may have been before it in the queue. */
  hearOfOthers({ kind, id }) {
    if (this.run.status === "queued" && id !== this.id && movesQueue(kind)) this.refreshSoon(PLACE_MS);
  }

  progress(progress, isPolled) {
    if (hasEnded(this.run)) return;
    this.take(advance(this.run, progress));
    if (this.hasFindings) this.refreshSoon(FINDINGS_MS);
    // A run that is asked for once a second tells no points: those come from its series.
    if (isPolled) this.loadSeries();
    else if (progress.point) this.addPoint(progress.point);
  }

  addPoint(point) {
    if (this.points.add(point)) this.hasNews = true;
    else this.loadSeries();
    this.schedule();
  }

  /** Its result. A server that is away for a moment is asked again. */
  async finish() {
    while (this.run.isActive && !this.signal.aborted) {
      const run = await readRun(this.id, this.signal).catch(() => null);
      if (run) this.take(run);
      if (this.run.isActive) await pause(1000);
    }
    await this.loadSeries();
  }

  /** All points. */
  async loadSeries() {
    // Of a run that came to no result there is nothing to ask for; what was seen of it stays.
    if (!this.run.isActive && !this.run.hasResult) return this.showPictures();
    if (this.isLoading) return undefined;
    this.isLoading = true;
    const { isActive } = this.run;
    const series = await readSeries(this.id, this.signal, (problem) => (this.seriesProblem = problem));
    this.isLoading = false;
    if (this.signal.aborted) return undefined;
    if (series && series.points.until.length >= (isActive ? this.points.length : 0)) this.points.load(series);
    if (isActive && !this.run.isActive) return this.loadSeries(); // it was asked for before the end
    return this.showPictures();
  }

  showPictures() {
    this.hasNews = true;
    this.schedule();
  }

  // --- What is drawn -----------------------------------------------------------------------------------------------

  /** At most once a frame, however many events come. */
  schedule() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      if (!this.signal.aborted) this.draw();
    });
  }

  draw() {
    const { run } = this;
    this.drawOnce("head", [run.status, run.verdict, run.label, run.queue_position], () => this.drawHead());
    this.drawOnce(
      "judgement",
      [run.isActive, run.status, run.verdict, run.findings.map(({ code }) => code), run.reason],
      () => [card(null, drawVerdict(run), this.objectivesPlace)],
    );
    this.drawOnce("tilesPlace", [run.isActive, finest(run), run.utilization === null || run.utilization === undefined], () =>
      this.drawTiles(),
    );
    this.drawOnce("findingsPlace", [run.isActive, run.findings], () => [drawFindings(run)]);
    this.drawOnce("rest", [run.isActive], () => this.drawRest());
    this.slots.update(run);
    this.drawMeter();
    this.objectives.update(run);
    this.tables.update(run);
    if (this.hasNews) this.drawPictures();
    this.main.run = run;
  }

  /** Only where it depends on something that has changed. */
  drawOnce(name, what, make) {
    const written = JSON.stringify(what);
    if (this.drawn[name] === written) return;
    this.drawn[name] = written;
    fill(this[name], make());
  }

  drawPictures() {
    this.hasNews = false;
    this.silence.hidden = this.points.length > 0;
    if (!this.silence.hidden) this.silence.textContent = tellSilence(this.run, this.seriesProblem);
    const isShort = this.points.length < 2;
    doEach(
      () => this.distribution.update(this.run, this.points),
      () => this.heat.update(this.points),
      () => (isShort ? this.tellShort() : this.charts.update(this.run, this.points)),
    );
  }

  tellShort() {
    this.silence.hidden = false;
    if (this.points.length)
      this.silence.textContent = this.run.isActive
        ? "Charts over time begin with the second point."
        : "It is too short to be drawn over time.";
  }

  drawHead() {
    const { run } = this;
    const state = badge(
      run.status === "queued" && run.queue_position ? `queued, ${number(run.queue_position)} before it` : words(run.status),
      tone(run.status),
    );
    this.meterPlace = el("div", { class: "row" });
    this.metered = null;
    return [
      heading(run.label ?? run.benchmark_id, state),
      el(
        "p",
        { class: "muted" },
        describeRun(run),
        run.search && [" A trial of ", link(run.search, href("capacity", run.search)), "."],
      ),
      this.meterPlace,
      el("div", { class: "toolbar" }, drawActions(run, this.more)),
    ];
  }

  drawMeter() {
    const { progress, isActive } = this.run;
    const done = isActive ? (progress?.fraction_done ?? null) : null;
    const told = done === null ? "" : `${Math.floor(done * 100)} % done${tellReplication(progress)}`;
    if (told === this.metered) return;
    this.metered = told;
    fill(this.meterPlace, told && [meter(done, "Done"), el("span", { class: "muted small" }, told)]);
  }

  drawTiles() {
    this.slots.clear();
    return [drawTiles(this.slots, this.run)];
  }

  drawRest() {
    const text = (value) => el("pre", { class: "mono code", tabindex: "0" }, JSON.stringify(value, null, 2));
    return [
      card(null, details("Specification", text(this.run.spec))),
      this.run.environment && card(null, details("Environment", text(this.run.environment))),
    ];
  }
}

const tellReplication = ({ replication, replications }) =>
  replications ? `, replication ${replication} of ${replications}` : "";
