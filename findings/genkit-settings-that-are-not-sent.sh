#!/bin/bash
# @genkit-ai/compat-oai 1.42.0 with genkit 1.42.0 (npm): a temperature of 0, a function's description and toolChoice are not in the request, without a word.
#
# The plugin makes a chat completion's request of what Genkit's generate() was given. Before it is sent, each field whose value is 0, false or empty is taken out.
# So a temperature of 0 becomes the server's own default, 1 for most: whoever asked for the most probable answer, for a test or for reading data out of a text, gets a drawn
# one, another each time. 0.1 is sent. The same goes for a seed of 0. Of a function, only the name and the parameters are sent. The text that tells the model what the
# function is for never leaves the program. toolChoice is not sent either, so after "none" the model may call, and after "required" it may not. Every answer looks like one to
# the question that was asked.
# maxOutputTokens is lost in the same place, which is known (genkit-ai/genkit issue 4425).
# Why one would guess otherwise: defineTool wants a description, generate() documents toolChoice, the plugin's schema allows temperatures from 0 on, and its generic model
# says of itself that it supports toolChoice. The package's README says nothing of it.
#
# Right results: temperature 0, the description and the choice, as they were given. Until then the plugin passes on what it does not know: config: { tool_choice: "required",
# max_tokens: 20 } is sent, and so are a temperature of 0.000001 and a description of the parameters as a whole.
#
# Seen (what the server is sent):
#   given                                          sent
#   temperature 0, seed 0                          neither
#   temperature 0.1, seed 7                        temperature 0.1, seed 7
#   a function with a description                  its name and parameters
#   toolChoice "required", "none"                  nothing of it
#   config: temperature 0.000001, tool_choice      both
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder" GENKIT_ENV=prod

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @genkit-ai/compat-oai@1.42.0 genkit@1.42.0 > /dev/null
cat > ask.js <<'JS'
import http from "node:http";
import { genkit, z } from "genkit";
import { openAICompatible } from "@genkit-ai/compat-oai";

const answer = { id: "answer", object: "chat.completion", created: 1, model: "model", choices: [{ index: 0, message: { role: "assistant", content: "Fine." }, finish_reason: "stop" }] };
let last;
const server = http.createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  last = JSON.parse(text);
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const ai = genkit({ plugins: [openAICompatible({ name: "local", apiKey: "none", baseURL: `http://127.0.0.1:${server.address().port}/v1` })] });
const define = (name, inputSchema) => ai.defineTool({ name, description: "Use it for weather at sea only.", inputSchema }, () => "calm");
const plain = define("plain", z.object({ day: z.number() }));
const said = define("said", z.object({ day: z.number() }).describe("For weather at sea only."));

// What is in the request beside the model and the messages. Of functions, all but what their parameters are.
async function ask(name, options) {
  await ai.generate({ model: "local/model", prompt: "How is the weather?", ...options });
  const { model, messages, tools, ...rest } = last;
  if (tools) rest.tools = tools.map(({ function: { parameters, ...others } }) => ({ ...others, "parameters' description": parameters.description }));
  console.log(`${name}: ${JSON.stringify(rest)}`);
}

await ask("zeros", { config: { temperature: 0, seed: 0 } });
await ask("others", { config: { temperature: 0.1, seed: 7 } });
await ask("required", { tools: [plain], toolChoice: "required" });
await ask("none", { tools: [plain], toolChoice: "none" });
await ask("way round", { tools: [said], config: { temperature: 0.000001, tool_choice: "required", max_tokens: 20 } });
process.exit();
JS

seen=$(timeout 120 node ask.js)
echo "$seen"
[ "$seen" = 'zeros: {}
others: {"temperature":0.1,"seed":7}
required: {"tools":[{"name":"plain"}]}
none: {"tools":[{"name":"plain"}]}
way round: {"temperature":0.000001,"tool_choice":"required","max_tokens":20,"tools":[{"name":"said","parameters'"'"' description":"For weather at sea only."}]}' ] || { echo "the behaviour has changed"; exit 1; }
echo "compat-oai still does not send a temperature of 0, a function's description and toolChoice"
