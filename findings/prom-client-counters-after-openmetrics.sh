#!/bin/bash
# prom-client 15.1.3 (npm): once a page was given as OpenMetrics, the counters in the older text format have lost their _total for good, in every registry that has them.
#
# A counter tokens_total is the series tokens_total in both formats: in OpenMetrics the family is named tokens, and its sample tokens_total. To write the family's name,
# metrics() takes _total off the counter itself, and does not put it back. The older format writes a counter under its own name, so from the first OpenMetrics page on the series
# there is tokens. A server that gives each reader the format it asks for loses its counters in the older one as soon as anybody asked for the other, and has them back with a
# restart. So it goes with two registries, one for each format, and with what is pushed or written to JSON. rate(tokens_total[5m]) has no data then, and an alert on it is silent.
# No error and no warning.
# Why one would guess otherwise: metrics() reads. setContentType() and a Registry's content type are there for the choice, and the README warns
# only of merging registries of different formats. Gauges, histograms and summaries are the same before and after.
# The name cannot be relied on before either: getSingleMetricAsString() of an OpenMetrics registry gives tokens_total_total until metrics() was called, and tokens_total from then on.
#
# Right result: a page in the older format has tokens_total, whatever was asked before.
#
# Seen (one counter and one gauge; lines with values):
#   asked for                      the series
#   text                           waiting 5, tokens_total 3
#   text of another registry       tokens_total 3
#   OpenMetrics, counter alone     tokens_total_total 3
#   OpenMetrics                    waiting 5, tokens_total 3
#   OpenMetrics, counter alone     tokens_total 3
#   text                           waiting 5, tokens 3
#   text of another registry       tokens 3
#   JSON                           waiting 5, tokens 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund prom-client@15.1.3 > /dev/null
cat > pages.js <<'JS'
import { Counter, Gauge, Registry } from "prom-client";

const registry = new Registry();
const other = new Registry();
new Gauge({ name: "waiting", help: "Requests in the queue.", registers: [registry] }).set(5);
new Counter({ name: "tokens_total", help: "Tokens made.", registers: [registry, other] }).inc(3);

const show = (name, page) => console.log(`${name}: ${page.split("\n").filter((line) => line && !line.startsWith("#")).join(", ")}`);
async function texts() {
  registry.setContentType(Registry.PROMETHEUS_CONTENT_TYPE);
  show("text", await registry.metrics());
  show("other text", await other.metrics());
}

await texts();
registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
show("alone", await registry.getSingleMetricAsString("tokens_total"));
show("OpenMetrics", await registry.metrics());
show("alone", await registry.getSingleMetricAsString("tokens_total"));
await texts();
show("JSON", (await registry.getMetricsAsJSON()).map(({ name, values }) => `${name} ${values[0].value}`).join("\n"));
JS

seen=$(timeout 60 node pages.js)
echo "$seen"
[ "$seen" = "text: waiting 5, tokens_total 3
other text: tokens_total 3
alone: tokens_total_total 3
OpenMetrics: waiting 5, tokens_total 3
alone: tokens_total 3
text: waiting 5, tokens 3
other text: tokens 3
JSON: waiting 5, tokens 3" ] || { echo "the behaviour has changed"; exit 1; }
echo "prom-client still takes _total off its counters when it writes OpenMetrics"
