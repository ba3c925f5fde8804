#!/bin/bash
# @strands-agents/sdk 1.19.0 with openai 6.49.0 (npm): of several tool calls in one answer of a chat, the last alone is run, and the text before a call is lost.
#
# The model of OpenAI-compatible servers (OpenAIModel with api "chat") reads an answer as a stream. Each call begins a block, and all blocks are ended together at the answer's
# end. The part that puts the answer together has room for one block: each beginning takes the place of the block before it. So an agent that was told to look in Bern, Oslo
# and Rome looks in Rome. The other calls are not run, and they are not in the conversation either: the next request says that the model made one call and wrote nothing,
# so it does not even see a call without a result. Of text and a call, the text is in the events of the stream and in no message. No error, no warning, and the agent ends well.
# Why one would guess otherwise: calls in parallel are what most models do, the agent has a setting of how to run several, and the same answer through the same class with
# api "responses" is whole. Text alone and one call alone are right, so a first test finds nothing. Many compatible servers know chat alone. The README shows
# api "chat" and says nothing of it.
#
# Right results: the same agent and class with api "responses", from the same answers.
#
# Seen (the cities that the function was called with; what the second request says that the model said and called):
#   the model's answer             api "responses"                                    api "chat"
#   call for Bern                  Bern; call for Bern                                Bern; call for Bern
#   text, call for Bern            Bern; text, call for Bern                          Bern; call for Bern
#   calls for Bern, Oslo, Rome     Bern, Oslo, Rome; calls for Bern, Oslo, Rome       Rome; call for Rome
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @strands-agents/sdk@1.19.0 openai@6.49.0 > /dev/null
cat > calls.js <<'JS'
import http from "node:http";
import { Agent, tool } from "@strands-agents/sdk";
import { OpenAIModel } from "@strands-agents/sdk/models/openai";

const args = (city) => JSON.stringify({ city });

// An answer with a text and calls as a stream of chat completions.
function chat({ text, cities }) {
  const chunk = (delta, finish_reason = null) => ({ id: "answer", object: "chat.completion.chunk", created: 1, model: "model", choices: [{ index: 0, delta, finish_reason }] });
  const events = [chunk({ role: "assistant", content: "" })];
  if (text) events.push(chunk({ content: text.slice(0, 4) }), chunk({ content: text.slice(4) }));
  cities.forEach((city, index) => events.push(
    chunk({ tool_calls: [{ index, id: `call_${index}`, type: "function", function: { name: "weather", arguments: "" } }] }),
    chunk({ tool_calls: [{ index, function: { arguments: args(city).slice(0, 6) } }] }),
    chunk({ tool_calls: [{ index, function: { arguments: args(city).slice(6) } }] }),
  ));
  return [...events, chunk({}, cities.length > 0 ? "tool_calls" : "stop")].map((event) => `data: ${JSON.stringify(event)}\n\n`).join("") + "data: [DONE]\n\n";
}

// The same as a stream of the Responses API.
function responses({ text, cities }) {
  const events = [], output = [];
  const response = (status) => ({ id: "resp_1", object: "response", created_at: 1, model: "model", status, output });
  const add = (type, fields) => events.push({ type: `response.${type}`, sequence_number: events.length, ...fields });
  add("created", { response: { ...response("in_progress"), output: [] } });
  if (text) {
    const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
    const part = { type: "output_text", text, annotations: [], logprobs: [] };
    output.push({ id: "msg_1", type: "message", role: "assistant", status: "completed", content: [part] });
    add("output_item.added", { output_index: 0, item: { ...output[0], status: "in_progress", content: [] } });
    add("content_part.added", { ...at, part: { ...part, text: "" } });
    for (const delta of [text.slice(0, 4), text.slice(4)]) add("output_text.delta", { ...at, delta, logprobs: [] });
    add("output_text.done", { ...at, text, logprobs: [] });
    add("content_part.done", { ...at, part });
    add("output_item.done", { output_index: 0, item: output[0] });
  }
  cities.forEach((city, index) => {
    const at = { item_id: `fc_${index}`, output_index: output.length };
    const item = { id: at.item_id, type: "function_call", call_id: `call_${index}`, name: "weather", arguments: args(city), status: "completed" };
    add("output_item.added", { output_index: at.output_index, item: { ...item, arguments: "", status: "in_progress" } });
    for (const delta of [args(city).slice(0, 6), args(city).slice(6)]) add("function_call_arguments.delta", { ...at, delta });
    add("function_call_arguments.done", { ...at, name: "weather", arguments: args(city) });
    add("output_item.done", { output_index: at.output_index, item });
    output.push(item);
  });
  add("completed", { response: response("completed") });
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}

let first, requests;
const server = http.createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  requests.push(JSON.parse(text));
  const answer = requests.length === 1 ? first : { text: "Fine there.", cities: [] };
  response.writeHead(200, { "content-type": "text/event-stream" }).end((request.url.endsWith("/responses") ? responses : chat)(answer));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const clientConfig = { baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 };

// What the request says that the model said and called.
function said({ messages, input }) {
  const texts = (content) => (Array.isArray(content) ? content.map(({ text }) => text) : [content]).filter((text) => text);
  const ofModel = (messages ?? input).filter(({ role }) => role === "assistant").flatMap(({ content }) => texts(content));
  const calls = messages ? messages.flatMap(({ tool_calls }) => tool_calls ?? []).map((call) => call.function) : input.filter(({ type }) => type === "function_call");
  return [...ofModel, ...calls.map((call) => call.arguments)].join(" ");
}

async function ask(api, text, cities) {
  [first, requests] = [{ text, cities }, []];
  const ran = [];
  const inputSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const weather = tool({ name: "weather", description: "Tells a city's weather.", inputSchema, callback: ({ city }) => { ran.push(city); return "sunny"; } });
  const agent = new Agent({ model: new OpenAIModel({ api, modelId: "model", apiKey: "none", clientConfig }), tools: [weather], printer: false });
  const { stopReason } = await agent.invoke("How is the weather?");
  console.log(`${api}: ran ${ran.sort().join(" ")}; says ${said(requests[1])}; ${stopReason}`);
}

for (const api of ["responses", "chat"]) {
  await ask(api, "", ["Bern"]);
  await ask(api, "I look.", ["Bern"]);
  await ask(api, "", ["Bern", "Oslo", "Rome"]);
}
process.exit();
JS

seen=$(timeout 120 node calls.js)
echo "$seen"
[ "$seen" = 'responses: ran Bern; says {"city":"Bern"}; endTurn
responses: ran Bern; says I look. {"city":"Bern"}; endTurn
responses: ran Bern Oslo Rome; says {"city":"Bern"} {"city":"Oslo"} {"city":"Rome"}; endTurn
chat: ran Bern; says {"city":"Bern"}; endTurn
chat: ran Bern; says {"city":"Bern"}; endTurn
chat: ran Rome; says {"city":"Rome"}; endTurn' ] || { echo "the behaviour has changed"; exit 1; }
echo "of several calls in one answer of a chat, Strands still runs the last alone"
