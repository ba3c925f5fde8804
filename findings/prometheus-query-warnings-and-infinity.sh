#!/bin/bash
# prometheus-query 3.5.1 with axios 1.21.1 (npm): an infinite value is read as NaN, and the hook for warnings is never called, so an incomplete answer looks like a whole one.
#
# The package asks a Prometheus server, or one that speaks its API such as Thanos, for dashboards, autoscalers and checks of a new version.
# 1. Prometheus writes infinite values as "+Inf" and "-Inf". They are read with parseFloat, which knows only "Infinity", so both become NaN, in instant queries, in range queries and
#    in the values of alerts. A ratio of failed to good requests is +Inf just when every request fails. "ratio > 0.05" is false for NaN, so the check passes when things are worst.
# 2. The option warningHook is a function that is to get the warnings of an answer. Prometheus and Thanos put them in the JSON, beside "data", when a part of the data could not
#    be read: the status is 200 and the sum is that of the rest. The package looks for them one level too high, in the HTTP client's object, where there never are any.
#    The result has no warnings either.
# 3. targets("active") and targets("dropped") send the state as "query". Prometheus' parameter is "state", and it ignores those it does not know. So all targets come, whatever was asked.
# No error in any of these.
# Why one would guess otherwise: a value's type is a number, and JavaScript has infinite ones. NaN means something else in Prometheus, 0 / 0, and is read right. The types and the
# constructor's comment have warningHook, "a hook for handling warning messages", and the comment of targets() says that the state is a filter. The README says nothing of the three, and
# no report of them was found.
#
# Right results: Infinity and -Infinity, a call of the hook with the warning, and the targets of the state that was asked for.
#
# Seen (the server is this script's own; what it sends, what the package gives):
#   sent                                    given
#   "0.25", "NaN", "+Inf", "-Inf"           0.25, NaN, NaN, NaN, of an instant query and of a range
#   an alert's value "+Inf"                 NaN
#   "warnings": ["store b is missing"]      no call of the hook, with GET and with POST, and nothing of it in the result
#   targets("active") asks query=active     1 active and 1 dropped; with state=active the server sends 1 and 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund prometheus-query@3.5.1 axios@1.21.1 > /dev/null
cat > ask.js <<'JS'
import http from "node:http";
import { PrometheusDriver } from "prometheus-query";

const values = ["0.25", "NaN", "+Inf", "-Inf"];
const time = 1760000000;
const target = (job) => ({ discoveredLabels: { job }, labels: { job }, scrapePool: job, health: "up" });
const asked = [];

const answers = {
  query: () => ({ resultType: "vector", result: values.map((value, i) => ({ metric: { model: `m${i}` }, value: [time, value] })) }),
  query_range: () => ({ resultType: "matrix", result: [{ metric: {}, values: values.map((value, i) => [time + i, value]) }] }),
  alerts: () => ({ alerts: [{ activeAt: "2026-01-01T00:00:00Z", annotations: {}, labels: { alertname: "Failing" }, state: "firing", value: "+Inf" }] }),
  targets: (parameters) => {
    const state = parameters.get("state") ?? "any";
    return { activeTargets: state === "dropped" ? [] : [target("a")], droppedTargets: state === "active" ? [] : [target("b")] };
  },
};

const server = http.createServer((request, response) => {
  request.resume();
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const name = pathname.split("/").at(-1);
  if (name === "targets") asked.push(searchParams.toString());
  const warnings = name.startsWith("query") ? { warnings: ["store b is missing"] } : {};
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ status: "success", data: answers[name](searchParams), ...warnings }));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const endpoint = `http://127.0.0.1:${server.address().port}`;

let calls = 0;
const options = { endpoint, baseURL: "/api/v1/", proxy: null, warningHook: () => calls++ };
for (const preferPost of [false, true]) {
  const client = new PrometheusDriver({ ...options, preferPost });
  const instant = await client.instantQuery("failed / good");
  const range = await client.rangeQuery("failed / good", time * 1000, (time + 3) * 1000, 1);
  console.log("instant:", instant.result.map((series) => series.value.value).join(" "));
  console.log("range:", range.result[0].values.map((sample) => sample.value).join(" "));
  console.log("hook was called:", calls, "warning in the results:", JSON.stringify([instant, range]).includes("store b"));
}

const client = new PrometheusDriver(options);
console.log("alert:", (await client.alerts())[0].value);
for (const state of ["active", "dropped"]) {
  const { activeTargets, droppedTargets } = await client.targets(state);
  console.log(`targets(${state}):`, asked.at(-1), activeTargets.length, droppedTargets.length);
}
const { data } = await (await fetch(`${endpoint}/api/v1/targets?state=active`)).json();
console.log("state=active:", data.activeTargets.length, data.droppedTargets.length);
server.closeAllConnections();
server.close();
JS

seen=$(NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 timeout 60 node ask.js)
echo "$seen"
query="instant: 0.25 NaN NaN NaN
range: 0.25 NaN NaN NaN
hook was called: 0 warning in the results: false"
[ "$seen" = "$query
$query
alert: NaN
targets(active): query=active 1 1
targets(dropped): query=dropped 1 1
state=active: 1 0" ] || { echo "the behaviour has changed"; exit 1; }
echo "prometheus-query still reads infinity as NaN, keeps warnings to itself and does not filter targets"
