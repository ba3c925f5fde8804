// Charts of the last few minutes, drawn as SVG. Times at which a view ended are marked in all of them.

import { h, put, s, say, show } from "./dom.js";
import * as format from "./format.js";

const span = 300;   // seconds that are shown at the most
const least = 60;    // and at the beginning
const height = 132;
const margin = { top: 10, bottom: 18, left: 4, right: 4 };

/** What was seen, at most some minutes of it. */
export class History {
  points = [];
  marks = [];

  add(cluster, replica) {
    const { rates, latency, load } = replica;
    const blocks = load.kv_blocks_used + load.kv_blocks_cached + load.kv_blocks_free;
    this.points.push({
      time: cluster.time, generated: rates?.generated_tokens_per_second ?? null, prompt: rates?.prompt_tokens_per_second ?? null,
      first50: latency.first_token.p50, first95: latency.first_token.p95, token50: latency.per_token.p50,
      running: load.running, waiting: load.waiting, kv: blocks > 0 ? load.kv_blocks_used / blocks : null,
    });
    const oldest = cluster.time - span - 5;
    while (this.points.length > 0 && this.points[0].time < oldest) this.points.shift();
    this.marks = replica.views.filter(view => view.ended !== null && view.ended > oldest).map(view => ({ time: view.ended, planned: view.planned }));
  }
}

/** A chart of one or a few lines over the same scale. */
class Chart {
  #history;
  #lines;
  #format;
  #most;
  #svg = s("svg", { role: "img", height });
  #parts;
  #values = [];
  #when = h("span", { class: "muted when" });
  #hover = null;
  #whole;

  /** @param lines [{key, name, kind}]. @param most The scale's end; null: as the values need. @param whole Values are whole numbers. */
  constructor(title, history, lines, formatted, { most = null, whole = false } = {}) {
    [this.#history, this.#lines, this.#format, this.#most, this.#whole] = [history, lines, formatted, most, whole];
    const legend = lines.map(line => {
      const value = h("strong");
      this.#values.push(value);
      return h("span", { class: "legend" }, h("i", { class: `swatch ${line.kind}` }), line.name, value);
    });
    this.element = h("section", { class: "panel chart" }, h("div", { class: "head" }, h("h2", null, title), this.#when), h("div", { class: "legends" }, legend), this.#svg);
    this.title = title;
    this.#parts = {
      grid: [0, 1, 2].map(() => s("line", { class: "grid" })), labels: [0, 1, 2].map(() => s("text", { class: "muted" })), marks: s("g"),
      area: s("path", { class: `area ${lines[0].kind}` }), lines: lines.map(line => s("path", { class: `line ${line.kind}` })), hair: s("line", { class: "hair" }),
      ago: [s("text", { class: "muted" }), s("text", { class: "muted end" }, "now")],
    };
    const { grid, labels, marks, area, lines: paths, hair, ago } = this.#parts;
    this.#svg.append(...grid, marks, area, ...paths, ...labels, hair, ...ago);
    this.#svg.addEventListener("pointermove", event => this.#look(event.offsetX));
    this.#svg.addEventListener("pointerleave", () => this.#look(null));
    new ResizeObserver(() => this.draw()).observe(this.#svg);
  }

  #look(x) {
    this.#hover = x;
    this.draw();
  }

  draw() {
    const { points, marks } = this.#history;
    const width = this.#svg.clientWidth;
    if (width === 0 || points.length === 0) return;
    const now = points.at(-1).time;
    const [inner, left] = [width - margin.left - margin.right, margin.left];
    const shown = Math.min(span, Math.max(least, now - points[0].time));
    const top = this.#most ?? niceTop(Math.max(this.#whole ? 2 : 0, ...points.flatMap(point => this.#lines.map(line => point[line.key] ?? 0))));
    const x = time => left + inner * (1 - (now - time) / shown);
    const y = value => margin.top + (height - margin.top - margin.bottom) * (1 - value / top);
    this.#scale(width, top, y, shown);
    this.#lines.forEach((line, index) => put(this.#parts.lines[index], "d", pathOf(points, line.key, x, y)));
    put(this.#parts.area, "d", areaOf(points, this.#lines[0].key, x, y));
    this.#parts.marks.replaceChildren(...marks.filter(mark => mark.time > now - shown).map(mark =>
      s("line", { x1: x(mark.time), x2: x(mark.time), y1: margin.top, y2: height - margin.bottom, class: mark.planned ? "mark planned" : "mark" })));
    const seen = this.#hover === null ? points.at(-1) : nearest(points, now - shown * (1 - (this.#hover - left) / inner));
    this.#lines.forEach((line, index) => say(this.#values[index], this.#format(seen[line.key])));
    say(this.#when, this.#hover === null ? "" : format.clock(seen.time));
    put(this.#parts.hair, "class", this.#hover === null ? "hair off" : "hair");
    for (const [name, value] of [["x1", x(seen.time)], ["x2", x(seen.time)], ["y1", margin.top], ["y2", height - margin.bottom]]) put(this.#parts.hair, name, value);
    put(this.#svg, "aria-label", `${this.title}: ${this.#lines.map(line => `${line.name} ${this.#format(points.at(-1)[line.key])}`).join(", ")}`);
  }

  #scale(width, top, y, shown) {
    [top, top / 2, 0].forEach((value, index) => {
      const line = this.#parts.grid[index];
      for (const [name, at] of [["x1", 0], ["x2", width], ["y1", y(value)], ["y2", y(value)]]) put(line, name, at);
      const label = this.#parts.labels[index];
      put(label, "x", margin.left);
      put(label, "y", y(value) + (index === 0 ? 11 : -3));
      say(label, index === 2 ? "" : this.#format(value));
    });
    put(this.#parts.ago[0], "x", margin.left);
    put(this.#parts.ago[1], "x", width - margin.right);
    say(this.#parts.ago[0], `${format.span(shown)} ago`);
    for (const text of this.#parts.ago) put(text, "y", height - 4);
  }
}

/** The four charts. */
export class Charts {
  #charts;
  #history = new History();

  constructor(host) {
    const of = (...parts) => new Chart(...parts);
    this.#charts = [
      of("Tokens per second", this.#history, [{ key: "generated", name: "generated", kind: "one" }, { key: "prompt", name: "prompt", kind: "two" }], format.perSecond),
      of("First token", this.#history, [{ key: "first50", name: "p50", kind: "one" }, { key: "first95", name: "p95", kind: "two" }], format.seconds),
      of("Sequences", this.#history, [{ key: "running", name: "running", kind: "one" }, { key: "waiting", name: "waiting", kind: "three" }], format.count, { whole: true }),
      of("KV cache", this.#history, [{ key: "kv", name: "held by sequences", kind: "one" }], format.percent, { most: 1 }),
    ];
    host.append(...this.#charts.map(chart => chart.element));
  }

  show(cluster, replica) {
    this.#history.add(cluster, replica);
    for (const chart of this.#charts) chart.draw();
  }
}

const gap = 4;   // seconds without news break a line

function pathOf(points, key, x, y) {
  let [path, last] = ["", null];
  for (const point of points) {
    if (point[key] === null || point[key] === undefined) {
      last = null;
      continue;
    }
    path += `${last !== null && point.time - last < gap ? "L" : "M"}${x(point.time).toFixed(1)} ${y(point[key]).toFixed(1)}`;
    last = point.time;
  }
  return path;
}

function areaOf(points, key, x, y) {
  const known = points.filter(point => point[key] !== null && point[key] !== undefined);
  if (known.length < 2) return "";
  return `M${x(known[0].time).toFixed(1)} ${y(0).toFixed(1)}${known.map(point => `L${x(point.time).toFixed(1)} ${y(point[key]).toFixed(1)}`).join("")}L${x(known.at(-1).time).toFixed(1)} ${y(0).toFixed(1)}Z`;
}

const nearest = (points, time) => points.reduce((best, point) => Math.abs(point.time - time) < Math.abs(best.time - time) ? point : best);

/** The next of 1, 2, 4, 6, 10... that is no less than the value. */
function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map(step => step * power).find(step => step >= value) ?? 20 * power;
}

/** The figures at the top of the page. */
export class Tiles {
  #host;
  #tiles = new Map();

  constructor(host) {
    this.#host = host;
    for (const title of ["Generating", "First token", "Each token", "Sequences", "KV cache", "Prefix cache"]) {
      const [value, sub, meter] = [h("p", { class: "value" }), h("p", { class: "sub" }), h("i", { class: "meter", hidden: true }, h("i"))];
      host.append(h("div", { class: "tile" }, h("h2", null, title), value, sub, meter));
      this.#tiles.set(title, { value, sub, meter });
    }
  }

  show(replica) {
    const { rates, latency, load, totals } = replica;
    const blocks = load.kv_blocks_used + load.kv_blocks_cached + load.kv_blocks_free;
    this.#set("Generating", `${rates ? format.figures(rates.generated_tokens_per_second) : format.unknown} tok/s`, `prompts ${rates ? format.figures(rates.prompt_tokens_per_second) : format.unknown} tok/s`);
    this.#set("First token", format.seconds(latency.first_token.p50), latency.first_token.count > 0 ? `p95 ${format.seconds(latency.first_token.p95)}` : "none in the last minute");
    this.#set("Each token", format.seconds(latency.per_token.p50), latency.per_token.count > 0 ? `p95 ${format.seconds(latency.per_token.p95)}` : "none in the last minute");
    this.#set("Sequences", `${format.count(load.running)} running`, `${format.count(load.waiting)} waiting · ${format.plural(load.sessions, "session")}`, load.running / load.max_running);
    this.#set("KV cache", format.percent(blocks > 0 ? load.kv_blocks_used / blocks : null), `${format.percent(blocks > 0 ? load.kv_blocks_cached / blocks : null)} kept for later`, blocks > 0 ? load.kv_blocks_used / blocks : 0);
    this.#set("Prefix cache", format.percent(totals.prefix_tokens_queried > 0 ? totals.prefix_tokens_hit / totals.prefix_tokens_queried : null), `${format.count(totals.prefix_tokens_hit)} tokens reused`);
  }

  #set(title, value, sub, part = null) {
    const tile = this.#tiles.get(title);
    say(tile.value, value);
    say(tile.sub, sub);
    show(tile.meter, part !== null);
    if (part !== null) tile.meter.firstElementChild.style.setProperty("width", `${Math.min(100, part * 100).toFixed(1)}%`);
  }
}
