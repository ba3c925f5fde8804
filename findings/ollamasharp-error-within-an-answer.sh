#!/bin/bash
# OllamaSharp 5.5.2 (NuGet): an error that ends a streamed answer is swallowed, and half an answer goes into the conversation as if it were whole.
#
# Ollama's interface streams a JSON object a line. Its documentation says how a failure within a stream comes: as a line {"error": "..."}, with the status that
# was sent before. For ChatAsync and GenerateAsync such a line is a piece of the answer without text: the loop ends, nothing is thrown, the message is nowhere.
# The class Chat then keeps what had come as the assistant's message, and sends it to the model with the next question. A stream that has nothing but
# the error is an empty answer.
# Why one would guess otherwise: the same line throws a ResponseError with its message in PullModelAsync, PushModelAsync and CreateModelAsync of the
# same client, and in npm's ollama it throws in a chat. A failure before the answer (status 500) throws everywhere.
#
# Right results: npm's ollama 0.6.4, from the same server (this script's own).
#
# Seen:
#   the server                ollama (npm)          ChatAsync                Chat.SendAsync           PullModelAsync
#   answers in full           Hi, stop              Hi, stop                 keeps Hi                 success
#   fails before a line       a rank is lost        HttpRequestException     HttpRequestException     HttpRequestException
#   fails within (after Hi)   Hi, a rank is lost    Hi, no exception         keeps Hi                 a rank is lost
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
  <ItemGroup><PackageReference Include="OllamaSharp" Version="[5.5.2]" /></ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using OllamaSharp;
using OllamaSharp.Models.Chat;

// The server answers as the model's name tells it to.
foreach (var model in args[1..])
{
    var client = new OllamaApiClient(new Uri(args[0]), model);
    await Show($"{model}, ChatAsync", async seen =>
    {
        await foreach (var part in client.ChatAsync(new ChatRequest { Model = model, Messages = [new Message(ChatRole.User, "Hello?")] }))
        {
            if (part?.Message?.Content is { Length: > 0 } text) seen.Add(text);
            if (part is ChatDoneResponseStream last) seen.Add(last.DoneReason!);
        }
    });
    await Show($"{model}, Chat.SendAsync", async seen =>
    {
        var chat = new Chat(client);
        await foreach (var _ in chat.SendAsync("Hello?")) { }
        seen.AddRange(chat.Messages.Where(message => message.Role == ChatRole.Assistant).Select(message => $"keeps {message.Content}"));
    });
    await Show($"{model}, PullModelAsync", async seen =>
    {
        await foreach (var part in client.PullModelAsync(model)) if (part?.Status is { Length: > 0 } status) seen.Add(status);
    });
}

static async Task Show(string name, Func<List<string>, Task> run)
{
    var seen = new List<string>();
    try
    {
        await run(seen);
    }
    catch (Exception error)
    {
        seen.Add(error.Message.Contains("a rank is lost") ? "a rank is lost" : error.GetType().Name);
    }
    Console.WriteLine($"{name}: {string.Join(", ", seen)}");
}
CS
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund ollama@0.6.4 > /dev/null
cat > compare.js <<'JS'
import { execFile } from "node:child_process";
import http from "node:http";
import { promisify } from "node:util";
import { Ollama } from "ollama";

const lines = (...objects) => objects.map((it) => `${JSON.stringify(it)}\n`).join("");
const part = (content, rest) => ({ model: "model", created_at: "2026-01-01T00:00:00Z", message: { role: "assistant", content }, ...rest });
const error = { error: "a rank is lost" };
const models = {
  whole: { status: 200, chat: lines(part("Hi", { done: false }), part("", { done: true, done_reason: "stop" })), pull: lines({ status: "success" }) },
  before: { status: 500, chat: lines(error), pull: lines(error) },
  within: { status: 200, chat: lines(part("Hi", { done: false }), error), pull: lines(error) },
};
const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  const { status, ...texts } = models[JSON.parse(body).model];
  response.writeHead(status, { "content-type": status === 200 ? "application/x-ndjson" : "application/json" }).end(texts[request.url.replace("/api/", "")]);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const host = `http://127.0.0.1:${server.address().port}`;

const client = new Ollama({ host });
for (const model of Object.keys(models)) {
  const seen = [];
  try {
    for await (const { message, done_reason } of await client.chat({ model, messages: [{ role: "user", content: "Hello?" }], stream: true })) {
      seen.push(...[message.content, done_reason].filter((it) => it));
    }
  } catch (failure) {
    seen.push(failure.message.includes("a rank is lost") ? "a rank is lost" : failure.message);
  }
  console.log(`${model}, ollama of npm: ${seen.join(", ")}`);
}
console.log((await promisify(execFile)("dotnet", ["out/app.dll", host, ...Object.keys(models)])).stdout.trimEnd());
server.close();
JS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(node compare.js)
echo "$seen"
[ "$seen" = "whole, ollama of npm: Hi, stop
before, ollama of npm: a rank is lost
within, ollama of npm: Hi, a rank is lost
whole, ChatAsync: Hi, stop
whole, Chat.SendAsync: keeps Hi
whole, PullModelAsync: success
before, ChatAsync: HttpRequestException
before, Chat.SendAsync: HttpRequestException
before, PullModelAsync: HttpRequestException
within, ChatAsync: Hi
within, Chat.SendAsync: keeps Hi
within, PullModelAsync: a rank is lost" ] || { echo "the behaviour has changed"; exit 1; }
echo "OllamaSharp still takes an error within an answer for the answer's end"
