#!/bin/bash
# @llamaindex/openai 0.4.23 (npm): of two tool calls in one chunk of a streamed chat, the second is lost.
#
# A chunk's tool_calls are a list, and each entry has the index of the call that it belongs to, so a server may send two calls that
# are ready together in one chunk. LlamaIndex reads the list's first entry and no other: no error and no warning, and who
# runs the calls runs one of two.
# Why one would guess otherwise: the same two calls arrive whole when a chunk has one of them, and in an answer that is not streamed.
#
# Right results: npm's @langchain/openai 1.5.8 with @langchain/core 1.4.0, from the same streams.
#
# Seen (the server is this script's own):
#   calls                  LangChain                          LlamaIndex
#   a chunk for each       sun {"day":1}, rain {"day":2}      sun {"day":1}, rain {"day":2}
#   two in one chunk       sun {"day":1}, rain {"day":2}      sun {"day":1}
#   not streamed           sun {"day":1}, rain {"day":2}      sun {"day":1}, rain {"day":2}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @llamaindex/openai@0.4.23 @langchain/openai@1.5.8 @langchain/core@1.4.0 > /dev/null
cat > calls.js <<'JS'
import http from "node:http";
import { concat } from "@langchain/core/utils/stream";
import { ChatOpenAI } from "@langchain/openai";
import { OpenAI } from "@llamaindex/openai";

const calls = [["sun", 1], ["rain", 2]].map(([name, day], index) => (
  { index, id: `call_${index}`, type: "function", function: { name, arguments: JSON.stringify({ day }) } }));
const answer = (object, choice) => JSON.stringify({ id: "answer", object, created: 1, model: "model", choices: [{ index: 0, ...choice }] });
const chunk = (delta, finish_reason = null) => `data: ${answer("chat.completion.chunk", { delta, finish_reason })}\n\n`;
const streamed = (chunks) => chunk({ role: "assistant", content: null }) + chunks.map((tool_calls) => chunk({ tool_calls })).join("")
  + chunk({}, "tool_calls") + "data: [DONE]\n\n";
const message = { role: "assistant", content: null, tool_calls: calls.map(({ index, ...call }) => call) };
const answers = {
  "a chunk for each": ["text/event-stream", streamed([[calls[0]], [calls[1]]])],
  "two in one chunk": ["text/event-stream", streamed([calls])],
  "not streamed": ["application/json", answer("chat.completion", { message, finish_reason: "tool_calls" })],
};

let sent;
const server = http.createServer((request, response) => {
  request.resume();
  response.writeHead(200, { "content-type": sent[0] }).end(sent[1]);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const langchain = new ChatOpenAI({ model: "model", apiKey: "none", maxRetries: 0, configuration: { baseURL } });
const llamaindex = new OpenAI({ model: "model", apiKey: "none", maxRetries: 0, baseURL });
const messages = [{ role: "user", content: "How is the weather on the first day and on the second?" }];

const fromLangChain = async (stream) => {
  if (!stream) return (await langchain.invoke(messages[0].content)).tool_calls;
  let whole;
  for await (const part of await langchain.stream(messages[0].content)) whole = whole ? concat(whole, part) : part;
  return whole.tool_calls;
};
const fromLlamaIndex = async (stream) => {
  const parts = stream ? await llamaindex.chat({ messages, stream }) : [(await llamaindex.chat({ messages })).message];
  const byId = new Map();
  for await (const part of parts) for (const call of part.options?.toolCall ?? []) byId.set(call.id, call);
  return [...byId.values()].map(({ name, input }) => ({ name, args: typeof input === "string" ? JSON.parse(input) : input }));
};
const text = (found) => found.map(({ name, args }) => `${name} ${JSON.stringify(args)}`).join(", ");

for (const [name, of] of Object.entries(answers)) {
  sent = of;
  const stream = of[0] === "text/event-stream";
  console.log(`${name}: ${text(await fromLangChain(stream))} | ${text(await fromLlamaIndex(stream))}`);
}
server.close();
JS

seen=$(node calls.js)
echo "$seen"
both='sun {"day":1}, rain {"day":2}'
[ "$seen" = "a chunk for each: $both | $both
two in one chunk: $both | sun {\"day\":1}
not streamed: $both | $both" ] || { echo "the behaviour has changed"; exit 1; }
echo "LlamaIndex still loses the second of two calls in one chunk"
