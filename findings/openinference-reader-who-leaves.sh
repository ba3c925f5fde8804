#!/bin/bash
# @arizeai/openinference-instrumentation-openai 4.2.7 with openai 7.59.0 (npm): once chats are traced, a reader who leaves a streamed answer no longer ends the request,
# so the server goes on to the answer's end for nobody.
#
# The library ends the request when a loop over a stream is left, and a server stops computing when its client has gone. The instrumentation divides each stream by tee():
# the caller reads one half, and the instrumentation reads the other for the trace, to its end. The caller's half cannot be closed, and the other half keeps the connection
# open. So an application that stops reading because it has what it needs, or whose own user has closed the page, keeps a place in the batch, KV cache and GPU time until
# the model stops by itself. With no limit of tokens that is the whole context. The trace shows the answer that nobody read as if it had been read, with its full length.
# Why one would guess otherwise: an instrumentation looks on. The caller's code is the same, sees the same chunks and has no error, and only the server's load tells.
# The README (November 2026) does not mention it, and the library's own source promises in a comment that a break ends the request.
#
# Right result: the same program without the instrumentation. stream.controller.abort() is the way out: it ends the request in both.
#
# Seen (the server is this script's own, it sends 40 pieces in a second and stops where the client has gone; the reader leaves after the first):
#   how the reader leaves                           without tracing     with tracing
#   break                                           stopped             sent all 40
#   an exception within the loop                    stopped             sent all 40
#   toReadableStream(), whose reader cancels        stopped             sent all 40
#   stream.controller.abort()                       stopped             stopped
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts openai@7.59.0 @arizeai/openinference-instrumentation-openai@4.2.7 @opentelemetry/api@1.9.0 \
  @opentelemetry/instrumentation@0.223.0 @opentelemetry/sdk-trace-node@2.12.1 > /dev/null
cat > leave.js <<'JS'
const http = require("node:http");
const { once } = require("node:events");
const { setTimeout: pause } = require("node:timers/promises");
const { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-node");
const { registerInstrumentations } = require("@opentelemetry/instrumentation");
const { OpenAIInstrumentation } = require("@arizeai/openinference-instrumentation-openai");

const traced = process.argv[2] === "with";
const spans = new InMemorySpanExporter();
if (traced) {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).register();
  registerInstrumentations({ instrumentations: [new OpenAIInstrumentation()] });
}
const { OpenAI } = require("openai");

const pieces = 40;
const chunk = (delta, finish_reason = null) =>
  `data: ${JSON.stringify({ id: "answer", object: "chat.completion.chunk", created: 1, model: "model", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;

let tell;
const server = http.createServer(async (request, response) => {
  request.resume();
  let sent = 0;
  response.on("close", () => tell(response.writableFinished ? `sent all ${sent}` : "stopped"));
  response.writeHead(200, { "content-type": "text/event-stream" });
  while (sent < pieces && !response.destroyed) {
    response.write(chunk({ role: "assistant", content: "word " }));
    sent++;
    await pause(25);
  }
  if (!response.destroyed) response.end(chunk({}, "stop") + "data: [DONE]\n\n");
});

const ways = {
  async break(stream) {
    for await (const _ of stream) break;
  },
  async exception(stream) {
    try {
      for await (const _ of stream) throw new RangeError("the page was closed");
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  },
  async cancel(stream) {
    const reader = stream.toReadableStream().getReader();
    await reader.read();
    await reader.cancel();
  },
  async abort(stream) {
    for await (const _ of stream) stream.controller.abort();
  },
};

(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { completions } = new OpenAI({ apiKey: "none", baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 }).chat;
  for (const [name, leave] of Object.entries(ways)) {
    const end = new Promise((resolve) => { tell = resolve; });
    await leave(await completions.create({ model: "model", messages: [{ role: "user", content: "Tell me a story." }], stream: true }));
    console.log(`${name} ${process.argv[2]} tracing: ${await end}`);
  }
  server.close();
  for (const end = Date.now() + 10_000; traced && spans.getFinishedSpans().length < 4 && Date.now() < end;) await pause(20);
  if (traced) console.log(`words in the traces: ${spans.getFinishedSpans().map((span) => span.attributes["output.value"].split(" ").length - 1).join(", ")}`);
})();
JS

seen=$(timeout 120 node leave.js without; timeout 120 node leave.js with)
echo "$seen"
[ "$seen" = "break without tracing: stopped
exception without tracing: stopped
cancel without tracing: stopped
abort without tracing: stopped
break with tracing: sent all 40
exception with tracing: sent all 40
cancel with tracing: sent all 40
abort with tracing: stopped
words in the traces: 40, 40, 40, 1" ] || { echo "the behaviour has changed"; exit 1; }
echo "a reader who leaves a traced stream still does not end its request"
