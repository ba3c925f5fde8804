// The picture of the pipeline: the coordinator, the stages with their ranks, the ways between them and what flows there.
// It is drawn anew when its structure changes, and else only its numbers are.

import { fit, put, s, say, widthOf } from "./dom.js";
import * as format from "./format.js";
import { arrange, size } from "./layout.js";

const bold = "600 12.5px system-ui, sans-serif";
const small = "11px system-ui, sans-serif";
const mostLayerTicks = 40;
const shownProblems = 3;
const barText = 102;   // room for the words beside a bar

export class PipelinePicture {
  #host;
  #structure = "";
  #update = [];
  #last = null;

  /** @param host The element that the picture fills. */
  constructor(host) {
    this.#host = host;
    new ResizeObserver(() => this.#last && this.show(...this.#last)).observe(host);
  }

  show(cluster, replica) {
    this.#last = [cluster, replica];
    const width = Math.floor(this.#host.clientWidth);
    if (width === 0) return;
    const workers = new Map(cluster.workers.map(worker => [worker.id, worker]));
    const others = cluster.workers.filter(worker => worker.stage === null && !(replica.stages.some(stage => stage.ranks.some(rank => rank.worker === worker.id))));
    const isBack = lost => cluster.workers.some(worker => worker.name === lost.name && worker.state !== "lost");
    const gone = others.filter(worker => worker.state === "lost" && !isBack(worker)).slice(-shownProblems);
    const shown = [...others.filter(worker => worker.state !== "lost"), ...gone];
    const structure = JSON.stringify([
      width, cluster.host, replica.name, replica.view, replica.stages.map(stage => [stage.first_layer, stage.layers, stage.experts, stage.ranks.map(rank => rank.worker)]),
      replica.links.map(link => [link.from, link.to]), cluster.workers.map(worker => [worker.id, worker.name, worker.address, worker.host]), shown.map(worker => [worker.id, worker.name]),
    ]);
    if (structure !== this.#structure) {
      this.#structure = structure;
      this.#update = [];
      this.#host.replaceChildren(this.#draw(width, cluster, replica, workers, shown));
    }
    for (const update of this.#update) update(cluster, replica, workers);
    put(this.#host.firstElementChild, "aria-label", describe(replica, workers));
    put(this.#host.firstElementChild, "class", replica.view.in_force ? "" : "ended");
  }

  #draw(width, cluster, replica, workers, others) {
    const place = arrange(width, replica.stages, others.length);
    const svg = s("svg", { width, height: place.height, viewBox: `0 0 ${width} ${place.height}`, role: "img" });
    const { lines, labels } = this.#ways(place, replica);
    svg.append(...lines, this.#coordinator(place, cluster));
    replica.stages.forEach((stage, index) => svg.append(this.#stage(place.stages[index], stage, replica, workers)));
    if (others.length > 0) svg.append(s("text", { x: place.others.x, y: place.others.y - 10, class: "label" }, "Not in the plan"));
    others.forEach((worker, index) => svg.append(this.#other(place.others, index, worker)));
    svg.append(...labels);
    return svg;
  }

  #coordinator(place, cluster) {
    const { x, y, width, height } = place.coordinator;
    const lines = [16, 34, 50, 66, 82].map((down, index) => s("text", { x: x + 12, y: y + 8 + down, class: index === 0 ? "name" : "muted" }));
    lines[0].textContent = "Coordinator";
    lines[1].textContent = fit(cluster.host, width - 24, small);
    this.#update.push((_, replica) => {
      say(lines[2], `${format.count(replica.load.running)} running`);
      say(lines[3], `${format.count(replica.load.waiting)} waiting`);
      say(lines[4], `${replica.rates ? format.perSecond(replica.rates.steps_per_second) : format.unknown} steps/s`);
      put(lines[3], "class", replica.load.waiting > 0 ? "warn" : "muted");
    });
    return s("g", null, s("rect", { x, y, width, height, rx: 6, class: "box coordinator" }), lines);
  }

  #stage(place, stage, replica, workers) {
    const { x, y, width, height } = place;
    const group = s("g", null, s("rect", { x, y, width, height, rx: 6, class: "box" }));
    const title = `Stage ${stage.stage}`;
    group.append(
      s("text", { x: x + 12, y: y + 20, class: "name" }, title),
      s("text", { x: x + width - 12, y: y + 20, class: "muted end" }, format.layers(stage.first_layer, stage.layers)),
      layerTicks(x + 12, y + 28, width - 24, stage, replica.stages.reduce((sum, of) => sum + of.layers, 0)));
    place.ranks.forEach((at, index) => group.append(at.more ? this.#more(at, stage, width) : this.#rank(at, stage, stage.ranks[index], width, workers)));
    if (place.experts) group.append(s("text", { x: place.experts.x, y: place.experts.y + 10, class: "muted" }, format.experts(stage.experts)));
    if (place.sums) group.append(this.#sums(place.sums, stage, width));
    return group;
  }

  /** A worker that holds a part of a stage. */
  #rank(at, stage, rank, boxWidth, workers) {
    const [x, width] = [at.x, boxWidth - 24];
    const worker = workers.get(rank.worker);
    const dot = s("circle", { cx: x + 4, cy: at.y + 9, r: 4 });
    const state = s("text", { x: x + width, y: at.y + 13, class: "state end" });
    const name = s("text", { x: x + 14, y: at.y + 13, class: "name" });
    const where = s("text", { x, y: at.y + 28, class: "muted" });
    const busy = bar(x, at.y + 36, width - barText, "busy");
    const memory = ["weights", "kv", "buffers"].map(kind => s("rect", { y: at.y + 52, height: 6, class: kind }));
    const memoryText = s("text", { x: x + width, y: at.y + 58, class: "muted end" });
    const busyText = s("text", { x: x + width, y: at.y + 42, class: "muted end" });
    const track = s("rect", { x, y: at.y + 52, width: width - barText, height: 6, rx: 1.5, class: "track" });
    const group = s("g", { class: "rank" }, s("title"), dot, name, state, where, busy.track, busy.fill, busyText, track, memory, memoryText);
    const tip = group.firstElementChild;
    const host = worker ? worker.address.replace(/^https?:\/\//, "") : "";
    where.textContent = fit(stage.ranks.length > 1 ? `rank ${rank.rank}, ${format.percent(rank.share)} · ${host}` : host, width, small);
    this.#update.push((_, replica, now) => {
      const is = now.get(rank.worker);
      const live = replica.stages.find(other => other.stage === stage.stage)?.ranks.find(other => other.rank === rank.rank) ?? rank;
      const condition = is?.state ?? "lost";
      const loading = is?.loading && condition === "loading" ? is.loading : null;
      const word = loading ? (loading.phase === "ready" ? "loaded" : `${loading.phase} ${format.percent(loading.fraction)}`) : condition === "serving" ? "" : condition.replace("_", " ");
      put(group, "class", `rank ${condition}`);
      put(dot, "class", `dot ${condition}`);
      say(state, word);
      say(name, fit(is?.name ?? rank.worker, width - 22 - widthOf(word, small), bold));
      const part = loading ? loading.fraction : live.busy ?? 0;
      put(busy.fill, "width", Math.max(0, (width - barText) * part).toFixed(1));
      put(busy.fill, "class", loading ? "loading" : "busy");
      say(busyText, condition === "lost" ? "" : loading ? format.loading(loading) : `${format.percent(live.busy)} busy`);
      const used = live.weight_bytes + live.kv_bytes + live.buffer_bytes;
      const whole = Math.max(is?.memory_bytes || 0, used) || 1;
      let from = x;
      [live.weight_bytes, live.kv_bytes, live.buffer_bytes].forEach((size, index) => {
        const long = (width - barText) * size / whole;
        put(memory[index], "x", from.toFixed(1));
        put(memory[index], "width", long.toFixed(1));
        from += long;
      });
      say(memoryText, is?.memory_bytes ? `${format.percent(used / is.memory_bytes)} of ${format.bytes(is.memory_bytes)}` : format.bytes(used));
      say(tip, tipOf(is, live));
    });
    return group;
  }

  #more(at, stage, width) {
    const text = s("text", { x: at.x, y: at.y + 14, class: "muted" });
    this.#update.push((_, replica) => {
      const rest = (replica.stages.find(other => other.stage === stage.stage) ?? stage).ranks.slice(-at.more);
      const busy = rest.reduce((sum, rank) => sum + (rank.busy ?? 0), 0) / rest.length;
      say(text, fit(`${format.plural(at.more, "more rank")}, ${format.percent(busy)} busy`, width - 24, small));
    });
    return text;
  }

  /** What the ranks of a stage send each other, in every layer. */
  #sums(at, stage, width) {
    const text = s("text", { x: at.x, y: at.y + 10, class: "muted" });
    this.#update.push((_, replica) => {
      const ids = new Set(stage.ranks.map(rank => rank.worker));
      const links = replica.links.filter(link => link.kind === "sums" && ids.has(link.from));
      const flow = (replica.stages.find(other => other.stage === stage.stage) ?? stage).ranks.reduce((sum, rank) => sum + (rank.sum_bytes_per_second ?? 0), 0);
      say(text, fit(`sums ${format.byteRate(flow)} · ${speedOf(links)}`, width - 24, small));
    });
    return text;
  }

  #other(place, index, worker) {
    const [x, y] = [place.x + (index % place.perRow) * (place.width + place.gap), place.y + Math.floor(index / place.perRow) * (size.other + 10)];
    const dot = s("circle", { cx: x + 16, cy: y + 19, r: 4 });
    const state = s("text", { x: x + place.width - 12, y: y + 23, class: "state end" });
    const group = s("g", { class: "rank" }, s("title"), s("rect", { x, y, width: place.width, height: size.other, rx: 6, class: "box" }), dot, state,
      s("text", { x: x + 26, y: y + 23, class: "name" }, fit(worker.name, place.width - 100, bold)),
      s("text", { x: x + 12, y: y + 40, class: "muted" }, fit(worker.address.replace(/^https?:\/\//, ""), place.width - 24, small)));
    this.#update.push((cluster, _, now) => {
      const is = now.get(worker.id) ?? worker;
      put(group, "class", `rank ${is.state}`);
      put(dot, "class", `dot ${is.state}`);
      say(state, is.state.replace("_", " "));
      say(group.firstElementChild, is.problem || `${is.state}, ${format.bytes(is.memory_bytes || null)}`);
    });
    return group;
  }

  /** From the coordinator to the first stage, between stages, and back from the last one. */
  #ways(place, replica) {
    const [lines, labels] = [[], []];
    place.ways.forEach((way, index) => {
      const line = s("path", { d: way.path, class: "way" });
      const flow = s("path", { d: way.path, class: "flow" });
      const speed = s("text", { x: way.x, y: way.y - 7, class: `muted ${way.anchor}` });
      const moves = s("text", { x: way.x, y: way.y + 15, class: `moves ${way.anchor}` });
      lines.push(line, flow);
      labels.push(speed, moves);
      this.#update.push((_, now) => {
        const { label, rate, active } = index === 0 ? toFirst(now) : index === place.ways.length - 1 ? back(now) : between(now, replica.stages[index - 1], replica.stages[index]);
        say(speed, label);
        say(moves, rate);
        put(moves, "class", `${active ? "moves" : "muted"} ${way.anchor}`);
        put(flow, "class", active && now.view.in_force ? "flow active" : "flow");
      });
    });
    return { lines, labels };
  }
}

const toFirst = replica => ({ label: "steps", rate: replica.rates?.rows_per_step > 0 ? `${format.figures(replica.rates.rows_per_step)} rows` : "", active: replica.rates?.steps_per_second > 0 });

const back = replica => ({
  label: "tokens", rate: replica.rates ? `${format.perSecond(replica.rates.generated_tokens_per_second)}/s` : "", active: replica.rates?.generated_tokens_per_second > 0,
});

/** All ways from one stage to the next together: their sum flows, and the slowest limits. */
function between(replica, from, to) {
  const links = replica.links.filter(link => link.kind === "activations"
    && from.ranks.some(rank => rank.worker === link.from) && to.ranks.some(rank => rank.worker === link.to));
  const flow = links.reduce((sum, link) => sum + (link.flow_bytes_per_second ?? 0), 0);
  return { label: speedOf(links), rate: format.byteRate(flow), active: flow > 0 };
}

/** The slowest of some links, as it was measured. */
function speedOf(links) {
  const measured = links.map(link => link.bytes_per_second).filter(rate => rate !== null);
  if (measured.length > 0) return format.bitRate(Math.min(...measured));
  return links.every(link => link.same_host) ? "same host" : "not measured";
}

function bar(x, y, width, kind) {
  return { track: s("rect", { x, y, width, height: 6, rx: 1.5, class: "track" }), fill: s("rect", { x, y, width: 0, height: 6, rx: 1.5, class: kind }) };
}

/** A mark for each layer of the model; those of the stage are filled. */
function layerTicks(x, y, width, stage, all) {
  if (all > mostLayerTicks) {
    const scale = width / all;
    return s("g", null, s("rect", { x, y, width, height: 5, rx: 1.5, class: "track" }),
      s("rect", { x: x + stage.first_layer * scale, y, width: Math.max(2, stage.layers * scale), height: 5, rx: 1.5, class: "layer" }));
  }
  const step = width / all;
  return s("g", null, Array.from({ length: all }, (_, layer) => s("rect", {
    x: (x + layer * step).toFixed(1), y, width: (step - 1.5).toFixed(1), height: 5, rx: 1,
    class: layer >= stage.first_layer && layer < stage.first_layer + stage.layers ? "layer" : "track",
  })));
}

function tipOf(worker, rank) {
  if (!worker) return "This worker is gone.";
  return [
    `${worker.name} (${worker.id}), ${worker.address}`,
    worker.problem,
    `${format.plural(worker.threads, "thread")}, ${worker.instruction_set}, reads ${format.byteRate(worker.memory_read_bytes_per_second || null)}`,
    `weights ${format.bytes(rank.weight_bytes)}, KV cache ${format.bytes(rank.kv_bytes)}, buffers ${format.bytes(rank.buffer_bytes)} of ${format.bytes(worker.memory_bytes || null)}`,
    rank.step_seconds === null ? "" : `${format.seconds(rank.step_seconds)} for a step`,
  ].filter(line => line).join("\n");
}

/** The picture in words. */
function describe(replica, workers) {
  const stages = replica.stages.map(stage => {
    const ranks = stage.ranks.map(rank => `${workers.get(rank.worker)?.name ?? rank.worker} ${workers.get(rank.worker)?.state ?? "lost"}`).join(", ");
    const experts = stage.ranks.length > 1 && stage.experts ? `, ${format.experts(stage.experts)}` : "";
    return `stage ${stage.stage}, ${format.layers(stage.first_layer, stage.layers)}${experts}: ${ranks}`;
  });
  return stages.length === 0 ? "The pipeline: nothing is planned yet" : `The pipeline: ${stages.join("; ")}`;
}
