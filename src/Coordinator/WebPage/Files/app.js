// Puts the page together and gives each part the newest snapshot of the cluster.

import { apiKey, listen } from "./api.js";
import { Charts, Tiles } from "./charts.js";
import { Chat } from "./chat.js";
import { byId, h, put, say, show } from "./dom.js";
import * as format from "./format.js";
import { PipelinePicture } from "./pipeline.js";
import { Plan, WhatIf } from "./plan.js";
import { shortVersion, Views, Workers } from "./tables.js";
import { themeButton } from "./theme.js";

const shownFor = 12;   // seconds that a recovery is told of after it

const picture = new PipelinePicture(byId("picture"));
const tiles = new Tiles(byId("tiles"));
const charts = new Charts(byId("charts"));
const plan = new Plan(byId("plan-now"));
const whatIf = new WhatIf(byId("what-if"));
const workers = new Workers(byId("workers-table"), byId("workers-sub"));
const views = new Views(byId("views-table"));
const chat = new Chat(byId("chat"), askForKey);

let last = null;
let lastAt = 0;
let spoken = "";

/** Says something once to who listens to the page instead of looking at it. */
function speak(text) {
  if (text === spoken) return;
  spoken = text;
  byId("spoken").textContent = text;
}

function heard(cluster) {
  const replica = replicaOf(cluster);
  [last, lastAt] = [cluster, performance.now()];
  show(byId("notice"), false);
  say(byId("model"), `${cluster.model.id} · ${format.plural(cluster.model.layers, "layer")} · ${format.bytes(cluster.model.bytes)}`);
  status(replica);
  recovery(cluster, replica);
  say(byId("pipeline-sub"), replica.plan
    ? `${format.plural(replica.stages.length, "stage")} · view ${shortVersion(replica.view.version)} · ${format.seconds(replica.plan.token_seconds)} a token predicted · up ${format.span(cluster.uptime_seconds)}`
    : replica.reason);
  say(byId("plan-sub"), replica.plan ? `for ${replica.plan.objective}, ${format.plural(replica.plan.goal_streams, "stream")}` : "");
  tiles.show(replica);
  picture.show(cluster, replica);
  charts.show(cluster, replica);
  plan.show(replica);
  whatIf.show(cluster, replica);
  workers.show(cluster);
  views.show(cluster, replica);
  chat.show(cluster, replica);
}

/** The replica that is looked at; where there are several, it can be chosen. */
function replicaOf(cluster) {
  const choice = byId("replica");
  const names = cluster.replicas.map(replica => replica.name);
  if ([...choice.options].map(option => option.value).join() !== names.join()) {
    const before = choice.value;
    choice.replaceChildren(...names.map(name => h("option", { value: name }, name)));
    if (names.includes(before)) choice.value = before;
  }
  show(choice.parentElement, names.length > 1);
  return cluster.replicas.find(replica => replica.name === choice.value) ?? cluster.replicas[0];
}

function status(replica) {
  const state = replica.ready ? "ready" : replica.recovering ? "recovering" : replica.phase;
  put(byId("status"), "data-state", state);
  say(byId("status-text"), state);
  document.title = `${replica.ready ? "" : `${state} · `}LlamaCluster`;
}

/** A view that ended and what came of it, while that is news. */
function recovery(cluster, replica) {
  const strip = byId("recovery");
  if (!replica.ready) {
    const { since, reason } = replica.recovery;
    const waited = since === null ? "" : ` · ${format.seconds(Math.max(0, cluster.time - since))}`;
    put(strip, "data-state", "under-way");
    put(strip, "title", replica.reason);
    say(strip, since === null ? `Not ready: ${replica.reason}` : `Recovering${waited} · ${reason} · ${replica.phase}`);
    show(strip, true);
    speak(since === null ? `Not ready: ${replica.phase}` : `Recovering: ${reason}`);
    return;
  }
  const [before, now] = replica.views.slice(-2);
  const isNews = now && before.ended !== null && !before.planned && now.ready !== null && cluster.time - now.ready < shownFor;
  show(strip, Boolean(isNews));
  if (isNews) {
    put(strip, "data-state", "over");
    put(strip, "title", before.end);
    say(strip, `Recovered in ${format.seconds(now.ready - before.ended)}, and open streams went on · ${before.end}`);
    speak(`Recovered in ${format.seconds(now.ready - before.ended)}`);
  } else {
    speak("Ready");
  }
}

function lost(problem) {
  if (problem.needsKey) askForKey(problem.message);
  put(byId("status"), "data-state", "lost");
  say(byId("status-text"), "no connection");
  const since = last ? ` What you see is ${format.span((performance.now() - lastAt) / 1000)} old.` : "";
  say(byId("notice"), `${problem.status ? problem.message : "The coordinator does not answer. Trying again."}${since}`);
  show(byId("notice"), true);
  speak("No connection to the coordinator");
}

const again = listen(heard, lost);

function askForKey(why) {
  const dialog = byId("key-dialog");
  if (why) say(byId("key-why"), why);
  byId("key-input").value = apiKey.value;
  if (!dialog.open) dialog.showModal();
}

byId("key-button").addEventListener("click", () => askForKey());
byId("key-dialog").addEventListener("close", () => {
  if (byId("key-dialog").returnValue !== "save") return;
  apiKey.value = byId("key-input").value.trim();
  again();
});
byId("replica").addEventListener("change", () => last && heard(last));
themeButton(byId("theme-button"));
document.addEventListener("keydown", event => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "")) return;
  event.preventDefault();
  chat.focus();
});
