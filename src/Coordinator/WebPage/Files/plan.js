// The plan with its arithmetic beside what is measured, and what the planner says of other clusters.

import { ApiError, call } from "./api.js";
import { h, say, Table } from "./dom.js";
import * as format from "./format.js";

const parts = [
  ["weights", "reading weights"], ["arithmetic", "arithmetic"], ["attention", "reading keys and values"], ["exchange", "sums between ranks"],
  ["transfer", "activations between stages"], ["program", "the program"],
];

/** A time as a bar of its causes, with a legend. */
class Arithmetic {
  #bar = h("div", { class: "stack", "aria-hidden": "true" });
  #legend = h("dl", { class: "causes" });

  constructor() {
    this.element = h("div", { class: "arithmetic" }, this.#bar, this.#legend);
  }

  /** @param longest The time that is as long as the whole bar. */
  show(token, total, longest = total) {
    this.#bar.replaceChildren(...parts.filter(([key]) => token[key] > 0).map(([key]) => {
      const piece = h("i", { class: `cause ${key}` });
      piece.style.setProperty("width", `${(100 * token[key] / longest).toFixed(2)}%`);
      return piece;
    }));
    this.#legend.replaceChildren(...parts.filter(([key]) => token[key] > 0).map(([key, name]) =>
      h("div", null, h("dt", null, h("i", { class: `swatch cause ${key}` }), name), h("dd", null, format.seconds(token[key])))));
  }
}

/** The plan that is in force. */
export class Plan {
  #arithmetic = new Arithmetic();
  #title = h("p", { class: "figure" });
  #stages = new Table("Predicted and measured times of the stages", [
    { title: "Stage" }, { title: "Layers" }, { title: "Predicted", class: "number" }, { title: "Measured", class: "number" }, { title: "Memory", class: "number" },
  ]);
  #streams = h("dl", { class: "streams" });
  #notes = h("dl", { class: "notes" });
  #shown = "";

  constructor(host) {
    host.append(h("h3", null, "In force"), this.#title, this.#arithmetic.element, this.#stages.element,
      h("p", { class: "sub" }, "Predicted: a token of one stream. Measured: a step of the last second, which may have more rows."), this.#streams, this.#notes);
  }

  show(replica) {
    const { plan } = replica;
    if (!plan) {
      say(this.#title, "No plan yet");
      return;
    }
    this.#stages.show(plan.stages.map((stage, index) => {
      const live = replica.stages[index]?.ranks ?? [];
      const measured = Math.max(...live.map(rank => rank.step_seconds ?? -1));
      const memory = Math.max(...stage.ranks.map(rank => rank.weight_bytes + rank.kv_bytes + rank.buffer_bytes));
      return { cells: [
        `${index}`, format.layers(stage.first_layer, stage.layers).replace(/^layers? /, ""), { text: format.seconds(stage.seconds), class: "number" },
        { text: measured < 0 ? format.unknown : format.seconds(measured), class: "number" }, { text: format.bytes(memory), class: "number" },
      ] };
    }), "No plan yet");
    const text = JSON.stringify(plan);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#title.replaceChildren(h("strong", null, format.seconds(plan.token_seconds)), " predicted for a token of one stream");
    this.#arithmetic.show(plan.token, plan.token_seconds);
    this.#streams.replaceChildren(...plan.streams.map(streams => h("div", null, h("dt", null, format.plural(streams.streams, "stream")), h("dd", null, `${format.figures(streams.tokens_per_second)} tok/s`))));
    this.#notes.replaceChildren(
      ...[["First token", `${format.seconds(plan.first_token_seconds)} after a prompt of ${format.plural(plan.prompt_tokens, "token")}`], ["Limited by", plan.limit], ["Chosen", plan.choice]]
        .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  }
}

const links = [["as measured", "", ""], ["1 Gbit/s, 200 µs", 125e6, 200], ["10 Gbit/s, 100 µs", 1.25e9, 100], ["25 Gbit/s, 50 µs", 3.125e9, 50], ["100 Gbit/s, 20 µs", 12.5e9, 20]];
const types = ["q4_0", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "f32"];

/** A form of questions to the planner. Each change asks it again. */
export class WhatIf {
  #form;
  #answer = h("div", { class: "answer", role: "status" });
  #asked = null;
  #timer = 0;
  #before = new Arithmetic();
  #after = new Arithmetic();
  #now = null;

  constructor(host) {
    const option = ([text, value]) => h("option", { value }, text);
    const field = (name, input) => h("label", null, h("span", null, name), input);
    this.#form = h("form", { class: "fields", onsubmit: event => event.preventDefault(), oninput: () => this.#later() },
      field("Workers", h("input", { name: "workers", type: "number", min: 1, max: 128, inputmode: "numeric" })),
      field("Matrices", h("select", { name: "quantization" }, [["as served", ""], ...types.map(type => [type, type])].map(option))),
      field("Memory of each, GB", h("input", { name: "memory", type: "number", min: 0.01, step: "any", placeholder: "as it is", inputmode: "decimal" })),
      field("Between hosts", h("select", { name: "link" }, links.map(([text], index) => option([text, index])))),
      field("Workers of a stage", h("select", { name: "ranks" }, [["as configured", ""], ["as the planner finds best", 0], ...[1, 2, 4, 8].map(ranks => [`${ranks}`, ranks])].map(option))),
      field("Streams", h("input", { name: "streams", type: "number", min: 1, max: 4096, placeholder: "as it is", inputmode: "numeric" })));
    host.append(h("h3", null, "What if"), this.#form, this.#answer);
    this.#answer.append(h("p", { class: "sub" }, "Change a field, and the planner says what that would give. Nothing is started."));
  }

  show(cluster, replica) {
    this.#now = replica.plan;
    const input = this.#form.elements.workers;
    if (input.value === "" && document.activeElement !== input) input.placeholder = `${cluster.worker_counts.wanted}`;
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), 300);
  }

  async #ask() {
    if (!this.#form.reportValidity()) return;
    this.#asked?.abort();
    const { signal } = this.#asked = new AbortController();
    const { workers, quantization, memory, link, ranks, streams } = this.#form.elements;
    const [, rate, roundTrip] = links[link.value];
    const number = field => field.value === "" ? undefined : Number(field.value);
    try {
      const answer = await call("/v1/cluster/plan", { signal, body: {
        workers: number(workers), quantization: quantization.value || undefined, memory_bytes: memory.value ? Math.round(memory.value * 1e9) : undefined,
        link_bytes_per_second: rate || undefined, link_round_trip_microseconds: roundTrip || undefined, tensor_parallel: number(ranks), streams: number(streams),
      } });
      this.#show(await answer.json());
    } catch (problem) {
      if (!signal.aborted) this.#answer.replaceChildren(h("p", { class: "bad" }, problem instanceof ApiError ? problem.message : "The coordinator did not answer."));
    }
  }

  #show(answer) {
    const head = h("p", { class: "sub" }, `${format.plural(answer.workers, "worker")} on ${format.plural(answer.hosts, "host")}, ${format.bytes(answer.weight_bytes)} of weights`);
    if (!answer.plan) {
      this.#answer.replaceChildren(head, h("p", { class: "bad" }, answer.refused));
      return;
    }
    const [then, now] = [answer.plan, this.#now];
    const longest = Math.max(then.token_seconds, now?.token_seconds ?? 0);
    this.#after.show(then.token, then.token_seconds, longest);
    if (now) this.#before.show(now.token, now.token_seconds, longest);
    const many = plan => plan.streams.at(-1);
    const memory = plan => Math.max(...plan.stages.flatMap(stage => stage.ranks.map(rank => rank.weight_bytes + rank.kv_bytes + rank.buffer_bytes)));
    const compared = new Table("What it would give, beside what there is", [{ title: "Predicted" }, { title: "Now", class: "number" }, { title: "Then", class: "number" }]);
    const row = (name, value) => ({ cells: [name, { text: now ? value(now) : format.unknown, class: "number" }, { text: value(then), class: "number strong" }] });
    compared.show([
      row("A token of one stream", plan => format.seconds(plan.token_seconds)),
      row(`Tokens per second, ${then.goal_streams === now?.goal_streams ? format.plural(then.goal_streams, "stream") : "all streams"}`, plan => format.figures(many(plan).tokens_per_second)),
      row("First token", plan => format.seconds(plan.first_token_seconds)),
      row("Stages", plan => `${plan.stages.length}`),
      row("Most memory of a worker", plan => format.bytes(memory(plan))),
    ]);
    this.#answer.replaceChildren(head, compared.element, now ? h("h4", null, "Now") : "", now ? this.#before.element : "", h("h4", null, "Then"), this.#after.element,
      h("dl", { class: "notes" }, h("div", null, h("dt", null, "Limited by"), h("dd", null, then.limit)), h("div", null, h("dt", null, "Chosen"), h("dd", null, then.choice))));
  }
}
