#!/bin/bash
# openai 7.59.0 and 6.49.0 (npm): chat.completions.stream() keeps the last piece alone of reasoning that is streamed, and gives it as the message's whole reasoning.
#
# Servers of open models (vLLM, SGLang, llama.cpp's and this project's) stream a model's thinking in pieces as reasoning_content of the deltas, next to content.
# stream() adds up an answer's pieces to a message for finalMessage() and finalChatCompletion(). It adds up content, refusal and the arguments of calls.
# Of every other text a new piece takes the place of the piece before it. So the message has a reasoning_content that looks like a whole one and is its last words.
# Who keeps a conversation by putting the message into the next request sends those words, and a template that writes earlier thinking gives the model only them.
# No error and no warning.
# Why one would guess otherwise: fields that a helper does not know are left out or added up. The same call without streaming has the whole, and the same
# message's content and arguments are whole. Who looks at the stream's chunks sees nothing amiss.
#
# Seen, with both versions (the server is this script's own; in a stream the thinking comes in three pieces):
#   reasoning_content of                  reads
#   create()                              "Rain is likely, so look."
#   create(), streamed, added up          "Rain is likely, so look."
#   stream().finalMessage()               " look."
#   the request after it                  " look."
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund seventh@npm:openai@7.59.0 sixth@npm:openai@6.49.0 > /dev/null
cat > think.js <<'JS'
import http from "node:http";

const pieces = ["Rain is", " likely, so", " look."];
const call = { id: "call_0", type: "function", function: { name: "weather", arguments: '{"day":1}' } };
const body = (object, choice) => JSON.stringify({ id: "answer", object, created: 1, model: "model", choices: [{ index: 0, ...choice }] });
const chunk = (delta, finish_reason = null) => `data: ${body("chat.completion.chunk", { delta, finish_reason })}\n\n`;

// To a question: thoughts, a text and a call. To a call's result: a text.
function answer({ stream, messages }) {
  const called = messages.at(-1).role === "tool";
  const message = { role: "assistant", content: called ? "It rains." : "One moment." };
  if (!called) Object.assign(message, { reasoning_content: pieces.join(""), tool_calls: [call] });
  const finish = called ? "stop" : "tool_calls";
  if (!stream) return body("chat.completion", { message, finish_reason: finish });
  const half = message.content.length / 2;
  return [
    chunk({ role: "assistant", content: "" }),
    ...(called ? [] : pieces.map((reasoning_content) => chunk({ reasoning_content }))),
    chunk({ content: message.content.slice(0, half) }), chunk({ content: message.content.slice(half) }),
    ...(called ? [] : [
      chunk({ tool_calls: [{ index: 0, ...call, function: { name: "weather", arguments: '{"day"' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }),
    ]),
    chunk({}, finish), "data: [DONE]\n\n",
  ].join("");
}

let last;
const server = http.createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  last = JSON.parse(text);
  response.writeHead(200, { "content-type": last.stream ? "text/event-stream" : "application/json" }).end(answer(last));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const parameters = { type: "object", properties: { day: { type: "integer" } } };
const asked = { model: "model", messages: [{ role: "user", content: "Does it rain?" }], tools: [{ type: "function", function: { name: "weather", parameters } }] };
const show = (name, { reasoning_content, content, tool_calls }) =>
  console.log(`${name}: ${JSON.stringify([reasoning_content, content, tool_calls[0].function.arguments])}`);

for (const version of ["seventh", "sixth"]) {
  const { default: OpenAI } = await import(version);
  const { completions } = new OpenAI({ apiKey: "none", baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 }).chat;
  show("create", (await completions.create(asked)).choices[0].message);

  const sum = { reasoning_content: "", content: "", tool_calls: [{ function: { arguments: "" } }] };
  for await (const { choices: [{ delta }] } of await completions.create({ ...asked, stream: true })) {
    sum.reasoning_content += delta.reasoning_content ?? "";
    sum.content += delta.content ?? "";
    sum.tool_calls[0].function.arguments += delta.tool_calls?.[0].function.arguments ?? "";
  }
  show("added up", sum);

  const message = await completions.stream(asked).finalMessage();
  show("stream", message);
  await completions.create({ ...asked, messages: [...asked.messages, message, { role: "tool", tool_call_id: "call_0", content: "rain" }] });
  show("next request", last.messages[1]);
}
server.close();
JS

seen=$(node think.js)
echo "$seen"
rest='"One moment.","{\"day\":1}"]'
one="create: [\"Rain is likely, so look.\",$rest
added up: [\"Rain is likely, so look.\",$rest
stream: [\" look.\",$rest
next request: [\" look.\",$rest"
[ "$seen" = "$one
$one" ] || { echo "the behaviour has changed"; exit 1; }
echo "openai still keeps the last piece of streamed reasoning as if it were the whole"
