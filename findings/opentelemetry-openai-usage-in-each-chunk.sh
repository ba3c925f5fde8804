#!/bin/bash
# @opentelemetry/instrumentation-openai 0.22.0 with openai 6.49.0 (npm): where a server reports usage in each chunk of a stream, every report counts as a request of its own.
# A prompt of 100 tokens with an answer of 200 is 20,100 tokens in and 20,300 out.
#
# The histogram gen_ai.client.token.usage is what costs and tokens per request are computed from. vLLM and servers that follow it have stream_options.continuous_usage_stats:
# each chunk then has the tokens so far, so that a caller who leaves, or a stream that breaks, has a bill too. The instrumentation records each of these totals. So the
# prompt counts once for each token of the answer, the answer's tokens grow with the square of its length, and the histogram's count, which is the number of
# requests that reported, is one for each chunk. The longer an answer, the wronger, so no factor sets it right. No error and no warning.
# Why one would guess otherwise: the same code puts the last report into the span, where both numbers are right. A histogram is to have one value for each request, and has
# where the answer is whole and where usage comes at the end. The openai library keeps the last report, and so does Langfuse. The option is a server's own, but usage in any
# chunk is in the library's types. The README (November 2026) names no exception.
#
# Right result: 100 in 1 and 200 in 1, as in the first two lines. Until then: take tokens from spans, or ask for usage at the end alone.
#
# Seen (the server is this script's own; "100 in 1" is a sum of 100 in one record):
#   answer, prompt + answer            histogram, input    histogram, output    span
#   whole, 100 + 200                   100 in 1            200 in 1             100 + 200
#   usage at the end, 100 + 200        100 in 1            200 in 1             100 + 200
#   usage in each chunk, 100 + 20      2100 in 21          230 in 21            100 + 20
#   usage in each chunk, 100 + 200     20100 in 201        20300 in 201         100 + 200
#   the last one in the library's own total, and in Langfuse's trace (@langfuse/openai 5.11.1): 100 + 200
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts openai@6.49.0 @opentelemetry/instrumentation-openai@0.22.0 @opentelemetry/instrumentation@0.300.0 \
  @opentelemetry/api@1.10.0 @opentelemetry/sdk-trace@3.1.1 @opentelemetry/sdk-metrics@3.1.1 @langfuse/openai@5.11.1 @langfuse/tracing@5.11.1 @langfuse/core@5.11.1 > /dev/null
cat > usage.js <<'JS'
const http = require("node:http");
const { once } = require("node:events");
const { setTimeout: pause } = require("node:timers/promises");
const { trace } = require("@opentelemetry/api");
const { TracerProvider } = require("@opentelemetry/sdk-trace");
const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { registerInstrumentations } = require("@opentelemetry/instrumentation");
const { OpenAIInstrumentation } = require("@opentelemetry/instrumentation-openai");

const spans = [];
const watch = { onStart() {}, onEnd(span) { spans.push(span.attributes); }, async forceFlush() {}, async shutdown() {} };
const metrics = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 })] });
const tracerProvider = new TracerProvider({ spanProcessors: [watch] });
trace.setGlobalTracerProvider(tracerProvider);
registerInstrumentations({ instrumentations: [new OpenAIInstrumentation()], tracerProvider, meterProvider });
const { OpenAI } = require("openai");
const { observeOpenAI } = require("@langfuse/openai");

// The server: a prompt of 100 tokens, an answer of as many tokens as the request allows. Usage is the total so far.
const promptTokens = 100;
const usage = (completion) => ({ prompt_tokens: promptTokens, completion_tokens: completion, total_tokens: promptTokens + completion });
const server = http.createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  const { stream, stream_options: options, max_tokens: tokens } = JSON.parse(text);
  const common = { id: "answer", created: 1, model: "model" };
  if (!stream) {
    const choice = { index: 0, message: { role: "assistant", content: "la ".repeat(tokens) }, finish_reason: "length" };
    return response.writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ ...common, object: "chat.completion", choices: [choice], usage: usage(tokens) }));
  }
  const chunk = (choices, used) => `data: ${JSON.stringify({ ...common, object: "chat.completion.chunk", choices, ...(used && { usage: used }) })}\n\n`;
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let done = 1; done <= tokens; done++) {
    const choice = { index: 0, delta: { role: "assistant", content: "la " }, finish_reason: done === tokens ? "length" : null };
    response.write(chunk([choice], options.continuous_usage_stats && usage(done)));
  }
  response.end(`${chunk([], usage(tokens))}data: [DONE]\n\n`);
});

(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new OpenAI({ apiKey: "none", baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 });
  const ends = { stream: true, stream_options: { include_usage: true } };
  const each = { stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } };
  for (const [name, tokens, options] of [["whole", 200, {}], ["usage at the end", 200, ends], ["usage in each chunk", 20, each], ["usage in each chunk", 200, each]]) {
    const request = { model: "model", max_tokens: tokens, messages: [{ role: "user", content: "Sing." }], ...options };
    spans.length = 0;
    metrics.reset();
    const answer = await client.chat.completions.create(request);
    if (options.stream) for await (const _ of answer);
    await meterProvider.forceFlush();
    const points = metrics.getMetrics().flatMap((all) => all.scopeMetrics).flatMap((scope) => scope.metrics)
      .filter((metric) => metric.descriptor.name === "gen_ai.client.token.usage").flatMap((metric) => metric.dataPoints);
    const of = (type) => points.filter((point) => point.attributes["gen_ai.token.type"] === type && point.value.count > 0)
      .map((point) => `${point.value.sum} in ${point.value.count}`).join();
    const span = spans.find((attributes) => attributes["gen_ai.operation.name"] === "chat");
    console.log(`${name}, ${promptTokens} + ${tokens} tokens: histogram input ${of("input")}, output ${of("output")};`
      + ` its span ${span["gen_ai.usage.input_tokens"]} + ${span["gen_ai.usage.output_tokens"]}`);
  }

  // The same stream in the library's own helper, and in another tracer.
  const request = { model: "model", max_tokens: 200, messages: [{ role: "user", content: "Sing." }], ...each };
  const total = await client.chat.completions.stream(request).totalUsage();
  console.log(`the library's own total: ${total.prompt_tokens} + ${total.completion_tokens}`);
  spans.length = 0;
  for await (const _ of await observeOpenAI(client).chat.completions.create(request));
  const key = "langfuse.observation.usage_details";
  for (const end = Date.now() + 10_000; !spans.some((attributes) => attributes[key]) && Date.now() < end;) await pause(20);
  const details = JSON.parse(spans.find((attributes) => attributes[key])[key]);
  console.log(`Langfuse: ${details.input} + ${details.output}`);
  await meterProvider.shutdown();
  server.close();
  server.closeAllConnections();
})();
JS

seen=$(timeout 120 node usage.js)
echo "$seen"
[ "$seen" = "whole, 100 + 200 tokens: histogram input 100 in 1, output 200 in 1; its span 100 + 200
usage at the end, 100 + 200 tokens: histogram input 100 in 1, output 200 in 1; its span 100 + 200
usage in each chunk, 100 + 20 tokens: histogram input 2100 in 21, output 230 in 21; its span 100 + 20
usage in each chunk, 100 + 200 tokens: histogram input 20100 in 201, output 20300 in 201; its span 100 + 200
the library's own total: 100 + 200
Langfuse: 100 + 200" ] || { echo "the behaviour has changed"; exit 1; }
echo "tokens are still counted once for each chunk that reports them"
