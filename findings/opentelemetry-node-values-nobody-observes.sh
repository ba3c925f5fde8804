#!/bin/bash
# @opentelemetry/sdk-metrics 2.12.1 with @opentelemetry/api 1.9.1 (npm): what a callback observed once is exported for ever, with the time of each new export, also after the callback
# was removed.
#
# An observable gauge asks its callback at each export: how many requests wait at each worker, how warm is each GPU. When a worker is gone and the callback observes it no more, its last
# value goes on, and so it does after removeCallback(), when nobody is left who could know it. The point's time is that of the export, so no reader can tell it from one that was just
# measured, and neither Prometheus nor a collector ever takes the series for ended. A worker that died with 7 requests waiting has 7 until the process ends: a sum over the workers
# is too high for good, an alert does not end, and whoever scales by it keeps machines for it. It is so with cumulative temporality, the default of readers and the one
# of the Prometheus exporter. Observable counters and up-down counters do the same. No warning.
# Why one would guess otherwise: the callback is the only one who knows the value, and a call that leaves out a worker says that there is none. With delta temporality the same gauge
# stops at once. OpenTelemetry's specification says that what a successful callback did not observe should not be exported, and .NET's OpenTelemetry 1.20.1 does so. Neither
# the README nor the comment of removeCallback() says that values stay. That they do while the callback lives is known since 2023 (open-telemetry/opentelemetry-js issues 2997
# and 4096, both open). No report was found of their new times, nor of removeCallback().
# Version 3.1.1 did the same when it was tried; it asks for a newer Node.js.
#
# Right result: the values of delta temporality's gauge: a and b, then b, then none.
#
# Seen (worker=value of the gauge; whether each point's time is newer than the export before):
#   after                      cumulative      delta
#   a and b are observed       a=7 b=2         a=7 b=2
#   b alone is observed        a=7 b=2, new    b=2, new
#   removeCallback()           a=7 b=2, new    none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @opentelemetry/sdk-metrics@2.12.1 @opentelemetry/api@1.9.1 > /dev/null
cat > watch.js <<'JS'
import { setTimeout } from "node:timers/promises";
import { AggregationTemporality, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";

class Reader extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

async function watch(name, options) {
  const reader = new Reader(options);
  const provider = new MeterProvider({ readers: [reader] });
  const meter = provider.getMeter("gateway");
  const instruments = [meter.createObservableGauge("waiting"), meter.createObservableCounter("done"), meter.createObservableUpDownCounter("open")];
  const workers = new Map([["a", 7], ["b", 2]]);
  const observe = (result) => workers.forEach((value, worker) => result.observe(value, { worker }));
  for (const instrument of instruments) instrument.addCallback(observe);

  let before = 0;
  async function show(step) {
    await setTimeout(20);
    const { resourceMetrics, errors } = await reader.collect();
    if (errors.length > 0) throw errors[0];
    const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    const times = metrics.flatMap((metric) => metric.dataPoints.map(({ endTime: [seconds, nanos] }) => seconds * 1000 + nanos / 1e6));
    const points = (of) => metrics.filter((metric) => metric.descriptor.name === of).flatMap((metric) => metric.dataPoints);
    const gauge = points("waiting").map((point) => `${point.attributes.worker}=${point.value}`);
    const sums = ["done", "open"].map((sum) => points(sum).map((point) => point.attributes.worker).join(""));
    console.log(`${name}, ${step}: ${gauge.join(" ")}; sums: ${sums}; new: ${times.every((time) => time > before)}`);
    before = Math.max(before, ...times);
  }

  await show("both");
  workers.delete("a");
  await show("b alone");
  for (const instrument of instruments) instrument.removeCallback(observe);
  await show("removed");
  await provider.shutdown();
}

await watch("default", {});
await watch("delta", { aggregationTemporalitySelector: () => AggregationTemporality.DELTA });
JS

seen=$(timeout 60 node watch.js)
echo "$seen"
[ "$seen" = "default, both: a=7 b=2; sums: ab,ab; new: true
default, b alone: a=7 b=2; sums: ab,ab; new: true
default, removed: a=7 b=2; sums: ab,ab; new: true
delta, both: a=7 b=2; sums: ab,ab; new: true
delta, b alone: b=2; sums: b,b; new: true
delta, removed: ; sums: ,; new: true" ] || { echo "the behaviour has changed"; exit 1; }
echo "OpenTelemetry for Node.js still exports what nobody observes"
