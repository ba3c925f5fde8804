#!/bin/bash
# parse-prometheus-text-format 1.1.1 (npm): a histogram with labels comes out as one without, with the buckets of whichever series stands last, and its count and sum
# are not there.
#
# The package reads a /metrics page into objects, for dashboards, tests and scripts that look at a server without a Prometheus. Histograms of inference servers
# have a label for the model or the worker on each series. Of two models, the result has one entry with the buckets of the second. Which model that is, or that there were
# two, cannot be told from it. _count and _sum are left out of it, and of one labelled series alone too, so an average is undefined or NaN. A summary with quantiles
# is treated the same: one quantile for all. No error and no warning. Who tries it on a histogram without labels sees it whole.
# Why one would guess otherwise: gauges, counters and summaries without quantiles keep their labels and all of their series, and the README says that the result is meant to
# be compatible with that of prom2json, which has labels, count and sum for each series of a histogram. The README's example has no histogram with labels.
#
# Right result: an entry for each set of labels, with its labels, buckets, count and sum.
#
# Seen (the page has small with 90 of 100 answers within 1 s, and large with 3 of 10; a gauge has both models as well):
#   of the page              entries   labels        within 1 s, in all   count, sum
#   histogram, no label      1         none to have  90, 100              100, 55
#   histogram, two models    1         none          3, 10                none
#   histogram, one model     1         none          90, 100              none
#   summary, two models      1         none          median 2             none
#   gauge, two models        2         small, large  values 4 and 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund parse-prometheus-text-format@1.1.1 > /dev/null
cat > read.js <<'JS'
import module from "parse-prometheus-text-format";
const parse = module.default ?? module;

const braces = (...labels) => (labels.some(Boolean) ? `{${labels.filter(Boolean).join(",")}}` : "");
const model = (name) => name && `model="${name}"`;

function histogram(name, fast, count, sum) {
  return `seconds_bucket${braces(model(name), 'le="1"')} ${fast}
seconds_bucket${braces(model(name), 'le="+Inf"')} ${count}
seconds_sum${braces(model(name))} ${sum}
seconds_count${braces(model(name))} ${count}
`;
}

function summary(name, median, count, sum) {
  return `seconds${braces(model(name), 'quantile="0.5"')} ${median}
seconds_sum${braces(model(name))} ${sum}
seconds_count${braces(model(name))} ${count}
`;
}

function show(name, type, metric, text) {
  const [{ metrics }] = parse(`# HELP ${metric} What it is.\n# TYPE ${metric} ${type}\n${text}`);
  console.log(`${name}: ${JSON.stringify(metrics)}`);
}

const small = histogram("small", 90, 100, 55);
show("no label", "histogram", "seconds", histogram("", 90, 100, 55));
show("two models", "histogram", "seconds", small + histogram("large", 3, 10, 40));
show("one model", "histogram", "seconds", small);
show("summary", "summary", "seconds", summary("small", 0.5, 100, 55) + summary("large", 2, 10, 40));
show("gauge", "gauge", "running", 'running{model="small"} 4\nrunning{model="large"} 2\n');
JS

seen=$(timeout 60 node read.js)
echo "$seen"
[ "$seen" = 'no label: [{"buckets":{"1":"90","+Inf":"100"},"count":"100","sum":"55"}]
two models: [{"buckets":{"1":"3","+Inf":"10"}}]
one model: [{"buckets":{"1":"90","+Inf":"100"}}]
summary: [{"quantiles":{"0.5":"2"}}]
gauge: [{"value":"4","labels":{"model":"small"}},{"value":"2","labels":{"model":"large"}}]' ] || { echo "the behaviour has changed"; exit 1; }
echo "a histogram with labels is still read as one without, and without its count and sum"
