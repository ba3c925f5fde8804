#!/bin/bash
# @instructor-ai/instructor 1.7.0 with openai 6.49.0 and zod 3.25.76 (npm): with stream: true, a list that the model wrote is filled up with items of the schema's default,
# and an empty list becomes the default, null or nothing.
#
# Instructor asks a model for an answer that follows a Zod schema. With stream: true it gives the object again and again as it grows, and its README takes the last one for the
# extracted data. That object does not begin empty. It begins as the schema's defaults, and each text, number, true, false or null of the answer is put in its place there. A bracket
# is not. So of z.array(z.string()).default(["read", "write", "delete"]) and the answer ["read"] comes all three, and of [] too: whoever reads permissions out of
# a text has some that the text took away. A default mapping keeps its keys next to those of the answer. An empty list that may be null is null. An empty list
# within an item of another list is not there, and items.map(item => item.tags.length) throws.
# _meta._isValid, which says whether the object follows the schema, is true for the wrong permissions. Where something is missing it is false, though the answer was right.
# Why one would guess otherwise: a default is for a field that is not in the answer, and Zod does it so. The same call without stream gives what the model wrote. The text
# of the stream is whole and right, and lists that are not empty and have no default are right too.
#
# Right result: the last object of a stream equals the object without stream.
#
# Seen (the server is this script's own; both calls get the same JSON as a tool call's arguments):
#   schema's field                                   model wrote           without stream        last of the stream              _isValid
#   tags: list, no default                           ["a","b"]             ["a","b"]             ["a","b"]                       true
#   may: list, default ["read","write","delete"]     ["read"]              ["read"]              ["read","write","delete"]       true
#   may: the same                                    []                    []                    ["read","write","delete"]       true
#   limits: record, default {"cpu":2,"disk":9}       {"cpu":1}             {"cpu":1}             {"cpu":1,"disk":9}              true
#   errors: list or null                             []                    []                    null                            true
#   items: list of {name, tags: list}                [{name:A,tags:[]}]    [{name:A,tags:[]}]    [{name:A}]                      false
#   rows: list of lists                              [[],[1]]              [[],[1]]              [null,[1]]                      false
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @instructor-ai/instructor@1.7.0 openai@6.49.0 zod@3.25.76 > /dev/null
cat > lists.js <<'JS'
import http from "node:http";
import Instructor from "@instructor-ai/instructor";
import OpenAI from "openai";
import { z } from "zod";

let written;
const body = (object, choice) => JSON.stringify({ id: "answer", object, created: 1, model: "model", choices: [{ index: 0, ...choice }] });
const chunk = (delta, finish_reason = null) => `data: ${body("chat.completion.chunk", { delta, finish_reason })}\n\n`;
const call = (text) => ({ id: "call_0", type: "function", function: { name: "answer", arguments: text } });

const server = http.createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  if (!JSON.parse(text).stream) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(body("chat.completion", { message: { role: "assistant", content: null, tool_calls: [call(written)] }, finish_reason: "tool_calls" }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(chunk({ role: "assistant", content: null, tool_calls: [{ index: 0, ...call("") }] }));
  for (const piece of written.match(/.{1,4}/g)) response.write(chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] }));
  response.end(chunk({}, "tool_calls") + "data: [DONE]\n\n");
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const openai = new OpenAI({ apiKey: "none", baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 });
const { completions } = Instructor({ client: openai, mode: "TOOLS" }).chat;

async function ask(shape, answer) {
  written = JSON.stringify(answer);
  const question = { model: "model", messages: [{ role: "user", content: "What does it say?" }], response_model: { name: "answer", schema: z.object(shape) } };
  const { _meta: _, ...whole } = await completions.create(question);
  let last;
  for await (const next of await completions.create({ ...question, stream: true })) last = next;
  const { _meta: { _isValid }, ...streamed } = last;
  console.log([written, JSON.stringify(whole), JSON.stringify(streamed), _isValid].join(" "));
}

const text = z.string();
await ask({ tags: z.array(text) }, { tags: ["a", "b"] });
const may = z.array(text).default(["read", "write", "delete"]);
await ask({ may }, { may: ["read"] });
await ask({ may }, { may: [] });
await ask({ limits: z.record(z.number()).default({ cpu: 2, disk: 9 }) }, { limits: { cpu: 1 } });
await ask({ errors: z.array(text).nullable() }, { errors: [] });
await ask({ items: z.array(z.object({ name: text, tags: z.array(text) })) }, { items: [{ name: "A", tags: [] }] });
await ask({ rows: z.array(z.array(z.number())) }, { rows: [[], [1]] });
server.close();
JS

seen=$(timeout 60 node lists.js)
echo "$seen"
same() { echo "$1 $1 $2 $3"; }
[ "$seen" = "$(
  same '{"tags":["a","b"]}' '{"tags":["a","b"]}' true
  same '{"may":["read"]}' '{"may":["read","write","delete"]}' true
  same '{"may":[]}' '{"may":["read","write","delete"]}' true
  same '{"limits":{"cpu":1}}' '{"limits":{"cpu":1,"disk":9}}' true
  same '{"errors":[]}' '{"errors":null}' true
  same '{"items":[{"name":"A","tags":[]}]}' '{"items":[{"name":"A"}]}' false
  same '{"rows":[[],[1]]}' '{"rows":[null,[1]]}' false
)" ] || { echo "the behaviour has changed"; exit 1; }
echo "Instructor's streams still mix a schema's defaults into the model's lists, and lose empty ones"
