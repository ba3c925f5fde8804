#!/bin/bash
# OpenAI 2.15.0 (NuGet): an error that ends a streamed chat is taken for one more piece of the answer, so half an answer looks like a whole one.
#
# Once a streamed answer has begun, its status is sent, and a server that fails can only say so in the stream: data: {"error": {"message": ...}}. llama.cpp's
# server does. This client makes a StreamingChatCompletionUpdate of it that has no text, no id and no reason to stop. The loop then ends as it always does,
# without an exception, and no property of the update is made for the message. Microsoft.Extensions.AI over it hands on the same. All that tells is a reason to
# stop that never came.
# Why one would guess otherwise: the same error throws a ClientResultException with the server's words where nothing was sent before it (status 500), and in
# OpenAI's own client for JavaScript it throws in either place.
#
# Right results: npm's openai 7.55.0, from the same server (this script's own).
#
# Seen:
#   the server                      openai (npm)          OpenAI (NuGet)                  Microsoft.Extensions.AI.OpenAI 10.11.0
#   answers "Hi" and stops          Hi, stop              Hi, Stop                        Hi, stop
#   fails before the answer         a rank is lost        a rank is lost                  a rank is lost
#   fails after "Hi"                Hi, a rank is lost    Hi, no reason, no exception     Hi, no reason, no exception
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" npm_config_cache="$folder/npm" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="OpenAI" Version="[2.15.0]" />
    <PackageReference Include="Microsoft.Extensions.AI.OpenAI" Version="[10.11.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;

// The server answers as the model's name tells it to.
var options = new OpenAIClientOptions { Endpoint = new Uri(args[0]), RetryPolicy = new ClientRetryPolicy(0) };
foreach (var model in args[1..])
{
    var client = new ChatClient(model, new ApiKeyCredential("none"), options);
    await Show($"{model}, OpenAI", async seen =>
    {
        await foreach (var update in client.CompleteChatStreamingAsync("Hello?"))
        {
            seen.AddRange(update.ContentUpdate.Select(part => part.Text).Where(text => text != ""));
            if (update.FinishReason is { } reason) seen.Add($"{reason}");
        }
    });
    await Show($"{model}, Microsoft.Extensions.AI", async seen =>
    {
        await foreach (var update in client.AsIChatClient().GetStreamingResponseAsync("Hello?"))
        {
            if (update.Text != "") seen.Add(update.Text);
            if (update.FinishReason is { } reason) seen.Add(reason.Value);
        }
    });
}

static async Task Show(string name, Func<List<string>, Task> run)
{
    var seen = new List<string>();
    try
    {
        await run(seen);
    }
    catch (ClientResultException error)
    {
        seen.Add(error.Message.Contains("a rank is lost") ? "a rank is lost" : error.Message);
    }
    Console.WriteLine($"{name}: {string.Join(", ", seen)}");
}
CS
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund openai@7.55.0 > /dev/null
cat > compare.js <<'JS'
import { execFile } from "node:child_process";
import http from "node:http";
import { promisify } from "node:util";
import OpenAI from "openai";

const event = (it) => `data: ${typeof it === "string" ? it : JSON.stringify(it)}\n\n`;
const chunk = (delta, finish_reason = null) => (
  event({ id: "answer", object: "chat.completion.chunk", created: 1, model: "model", choices: [{ index: 0, delta, finish_reason }] }));
const error = { error: { message: "a rank is lost", type: "server_error", param: null, code: null } };
const hi = chunk({ role: "assistant", content: "Hi" });
const answers = {
  whole: [200, "text/event-stream", hi + chunk({}, "stop") + event("[DONE]")],
  before: [500, "application/json", JSON.stringify(error)],
  within: [200, "text/event-stream", hi + event(error) + event("[DONE]")],
};
const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  const [status, type, text] = answers[JSON.parse(body).model];
  response.writeHead(status, { "content-type": type }).end(text);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;

const client = new OpenAI({ apiKey: "none", baseURL, maxRetries: 0 });
for (const model of Object.keys(answers)) {
  const seen = [];
  try {
    const stream = await client.chat.completions.create({ model, messages: [{ role: "user", content: "Hello?" }], stream: true });
    for await (const { choices: [choice] } of stream) seen.push(...[choice.delta.content, choice.finish_reason].filter((it) => it));
  } catch (failure) {
    seen.push(failure.message.includes("a rank is lost") ? "a rank is lost" : failure.message);
  }
  console.log(`${model}, openai of npm: ${seen.join(", ")}`);
}
console.log((await promisify(execFile)("dotnet", ["out/app.dll", baseURL, ...Object.keys(answers)])).stdout.trimEnd());
server.close();
JS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(node compare.js)
echo "$seen"
[ "$seen" = "whole, openai of npm: Hi, stop
before, openai of npm: a rank is lost
within, openai of npm: Hi, a rank is lost
whole, OpenAI: Hi, Stop
whole, Microsoft.Extensions.AI: Hi, stop
before, OpenAI: a rank is lost
before, Microsoft.Extensions.AI: a rank is lost
within, OpenAI: Hi
within, Microsoft.Extensions.AI: Hi" ] || { echo "the behaviour has changed"; exit 1; }
echo "in .NET an error within a streamed chat still looks like the answer's end"
