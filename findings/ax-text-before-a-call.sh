#!/bin/bash
# @ax-llm/ax 24.0.21 (npm): what a model writes before it calls a function becomes the beginning of the answer, if the answer is streamed. Streaming is the default.
#
# ax("question:string -> answer:string", { functions }) asks a model, runs the functions that it calls, asks again, and returns the answer as an object. Many models say what they
# are about to do, "I will look that up.", and call in the same message. With streaming, each message's text is added to what the field had from the messages before, without as much
# as a space: the answer is "I will look that up.It rains." Where a model guesses first and looks then, the guess stands before what it found, as if both were meant. It grows with
# each call. An assertion is asked about the last message's text alone. So it passes "It rains.", and what forward() returns was never looked at. No error and no warning.
# With two output fields such a text belongs to none and is left out. But if the message says "Answer: ..." before its call, that is added there too.
# Why one would guess otherwise: only the last message, the one without a call, is the answer, and so it is with stream: false. forward() returns when all is done, so streaming
# should not be seen in its result, and after an assertion that fails the text of the first attempt is gone in both ways.
#
# Right result: the same as with stream: false.
#
# Seen (the server is this script's own and gives the same texts both ways; a + stands for a call in the message):
#   messages of the model                                     stream: false      default, and what an assertion saw
#   +, "Answer: It rains."                                    It rains.          It rains.                               It rains.
#   "I will look."+, "Answer: It rains."                      It rains.          I will look.It rains.                   It rains.
#   "Sun, I guess."+, "Let me see."+, "Answer: It rains."     It rains.          Sun, I guess.Let me see.It rains.       It rains.
#   with a second field, city:
#   "I will look."+, "Answer: It rains. City: Bern"           It rains.          It rains.                               It rains.
#   "Answer: Sun."+, "Answer: It rains. City: Bern"           It rains.          Sun.It rains.                           It rains.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @ax-llm/ax@24.0.21 > /dev/null
cat > ask.js <<'JS'
import http from "node:http";
import { ai, ax } from "@ax-llm/ax";

let texts;
const body = (object, choice) => JSON.stringify({
  id: "answer", object, created: 1, model: "model", choices: [{ index: 0, ...choice }], usage: { prompt_tokens: 9, completion_tokens: 9, total_tokens: 18 },
});
const chunk = (delta, finish_reason = null) => `data: ${body("chat.completion.chunk", { delta, finish_reason })}\n\n`;

// The texts one after the other, all but the last with a call.
const server = http.createServer(async (request, response) => {
  let read = "";
  for await (const part of request) read += part;
  const { stream, messages } = JSON.parse(read);
  const results = messages.filter(({ role }) => role === "tool").length;
  const content = texts[results];
  const called = results < texts.length - 1;
  const call = { id: `call_${results}`, type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } };
  const finish = called ? "tool_calls" : "stop";
  if (!stream) {
    const message = { role: "assistant", content, ...(called ? { tool_calls: [call] } : {}) };
    response.writeHead(200, { "content-type": "application/json" }).end(body("chat.completion", { message, finish_reason: finish }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end([
    chunk({ role: "assistant", content: "" }),
    ...(content ?? "").split(/(?<= )/).map((word) => chunk({ content: word })),
    ...(called ? [chunk({ tool_calls: [{ index: 0, ...call }] })] : []),
    chunk({}, finish), "data: [DONE]\n\n",
  ].join(""));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const weather = {
  name: "weather", description: "Tells the weather of a city.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  func: async ({ city }) => `Rain in ${city}.`,
};
async function ask(fields, ...messages) {
  texts = messages;
  const answers = [];
  let asserted;
  for (const settings of [{ stream: false }, {}]) {
    const model = ai({ name: "openai", apiKey: "none", apiURL: `http://127.0.0.1:${server.address().port}/v1`, config: { model: "model", ...settings } });
    asserted = [];
    const program = ax(`question:string -> ${fields}`, { functions: [weather] });
    program.addAssert((found) => { asserted.push(found.answer); return true; }, "Say how the weather is.");
    const { answer, city } = await program.forward(model, { question: "How is the weather in Bern?" });
    answers.push([answer, city].filter(Boolean).join("/"));
  }
  answers.push(asserted.join(", "));
  console.log(answers.join(" | "));
}

await ask("answer:string", null, "Answer: It rains.");
await ask("answer:string", "I will look.", "Answer: It rains.");
await ask("answer:string", "Sun, I guess.", "Let me see.", "Answer: It rains.");
await ask("answer:string, city:string", "I will look.", "Answer: It rains.\nCity: Bern");
await ask("answer:string, city:string", "Answer: Sun.", "Answer: It rains.\nCity: Bern");
server.close();
JS

seen=$(timeout 60 node ask.js)
echo "$seen"
[ "$seen" = "It rains. | It rains. | It rains.
It rains. | I will look.It rains. | It rains.
It rains. | Sun, I guess.Let me see.It rains. | It rains.
It rains./Bern | It rains./Bern | It rains.
It rains./Bern | Sun.It rains./Bern | It rains." ] || { echo "the behaviour has changed"; exit 1; }
echo "ax still begins a streamed answer with what the model wrote before its calls"
