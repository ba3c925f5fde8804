// Workers and views as tables: what the picture shows, for who reads.

import { say, Table } from "./dom.js";
import * as format from "./format.js";

/** Stages first, in order; who is lost or unreachable comes last. */
const orderOf = worker => worker.stage ?? (worker.state === "lost" || worker.state === "unreachable" ? 1e6 : 1e5);

const number = text => ({ text, class: "number" });

export class Workers {
  #table = new Table("Workers", [
    { title: "Worker" }, { title: "State" }, { title: "Part" }, { title: "Busy", class: "number" }, { title: "Memory", class: "number" }, { title: "Reads", class: "number" },
    { title: "Threads", class: "number" }, { title: "Address" },
  ]);
  #sub;

  constructor(host, sub) {
    host.append(this.#table.element);
    this.#sub = sub;
  }

  show(cluster) {
    const { wanted, serving, spare } = cluster.worker_counts;
    say(this.#sub, `${serving} of ${wanted} wanted serve, ${spare} spare`);
    const parts = new Map(cluster.replicas.flatMap(replica => replica.stages.flatMap(stage => stage.ranks.map(rank => [rank.worker, { replica, stage, rank }]))));
    const ordered = [...cluster.workers].sort((a, b) => orderOf(a) - orderOf(b) || a.name.localeCompare(b.name));
    this.#table.show(ordered.map(worker => {
      const part = worker.stage === null ? null : parts.get(worker.id);
      const ranks = part && part.stage.ranks.length > 1 ? `, rank ${part.rank.rank}` : "";
      const loading = worker.state === "loading" && worker.loading ? ` ${format.percent(worker.loading.fraction)}, ${format.loading(worker.loading)}` : "";
      return { class: worker.state, cells: [
        { text: worker.name, class: "strong" }, { text: worker.state.replace("_", " ") + loading, class: `state ${worker.state}`, title: worker.problem },
        part ? `stage ${part.stage.stage}${ranks}, ${format.layers(part.stage.first_layer, part.stage.layers)}` : worker.problem || format.unknown,
        number(part ? format.percent(part.rank.busy) : format.unknown), number(format.bytes(worker.memory_bytes || null)),
        number(format.byteRate(worker.memory_read_bytes_per_second || null)), number(worker.threads ? format.count(worker.threads) : format.unknown), { text: worker.address, class: "mono" },
      ] };
    }), "No worker has registered yet. Start one with: llamacluster worker --coordinator URL");
  }
}

export class Views {
  #table = new Table("Views", [
    { title: "View" }, { title: "Planned" }, { title: "Ready after", class: "number" }, { title: "Served", class: "number" }, { title: "Workers", class: "number" },
    { title: "Stages", class: "number" }, { title: "Ended because" },
  ]);

  constructor(host) {
    host.append(this.#table.element);
  }

  show(cluster, replica) {
    this.#table.show([...replica.views].reverse().map(view => {
      const end = view.ended ?? cluster.time;
      return { class: view.ended === null ? "current" : "", cells: [
        { text: shortVersion(view.version), class: "strong", title: `${view.version}` }, format.clock(view.began), number(view.ready === null ? format.unknown : format.seconds(Math.max(0, view.ready - view.began))),
        number(view.ready === null ? format.unknown : format.span(Math.max(0, end - view.ready))), number(`${view.workers}`), number(`${view.stages}`),
        { text: view.ended === null ? (view.ready === null ? "loading" : "serving") : view.end, class: view.ended === null ? "muted" : view.planned ? "" : "bad" },
      ] };
    }), "No view yet: a plan is made when enough workers are here");
  }
}

/** Versions of an epoch begin at a thousand million times its number: "1·3" is the third of the first epoch. */
export function shortVersion(version) {
  const epoch = Math.floor(version / 1e9);
  return epoch > 0 ? `${epoch}·${version % 1e9}` : `${version}`;
}
