#!/bin/bash
# Microsoft.Extensions.AI 10.11.0 with Microsoft.Extensions.AI.OpenAI 10.11.0 (NuGet): a function whose arguments were cut off is run all the same, with its own
# parameters' defaults.
#
# An answer that reaches its limit of tokens ends where it is (finish_reason "length"), also in the midst of a call's arguments: {"keepDays": 365 without the
# bracket. That is no JSON. The client notes this in FunctionCallContent.Exception and leaves Arguments null. UseFunctionInvocation does not look at the note.
# It runs the function without arguments, so each parameter that has a default gets it, and the model's 365 is lost. Nothing is thrown and the log has no warning.
# The model gets the result as if it had asked for that. Streamed answers and whole ones are alike.
# Why one would guess otherwise: the fault is found, and has a place of its own in the call; a parameter without a default is refused then; and Semantic
# Kernel, on the same client, runs nothing and tells the model that its arguments were no JSON. A default is for what the model leaves out, not for
# what it said and nobody could read.
#
# Right results: Microsoft.SemanticKernel 1.82.0, from the same answers (this script's own), with OpenAI 2.15.0 below both.
#
# Seen, for Clean(int keepDays = 1):
#   arguments              finish_reason     Semantic Kernel                  Microsoft.Extensions.AI
#   {"keepDays": 365}      tool_calls        keeps 365 days                   keeps 365 days
#   {}                     tool_calls        keeps 1 day                      keeps 1 day
#   {"keepDays": 365       length            runs nothing, tells the model    keeps 1 day
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <Nullable>enable</Nullable>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="OpenAI" Version="[2.15.0]" />
    <PackageReference Include="Microsoft.Extensions.AI" Version="[10.11.0]" />
    <PackageReference Include="Microsoft.Extensions.AI.OpenAI" Version="[10.11.0]" />
    <PackageReference Include="Microsoft.SemanticKernel" Version="[1.82.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OpenAI;

var ran = new List<string>();
string Clean(int keepDays = 1)
{
    ran.Add($"keeps {keepDays}");
    return "cleaned";
}

var server = new Server();
var openai = new OpenAIClient(new ApiKeyCredential("none"),
    new OpenAIClientOptions { Transport = new HttpClientPipelineTransport(new HttpClient(server)), RetryPolicy = new ClientRetryPolicy(0) });

var extensions = openai.GetChatClient("model").AsIChatClient().AsBuilder().UseFunctionInvocation().Build();
var options = new ChatOptions { Tools = [AIFunctionFactory.Create(Clean, "Clean")] };

var kernel = new Kernel();
kernel.Plugins.AddFromFunctions("Logs", [KernelFunctionFactory.CreateFromMethod(Clean, "Clean")]);
var semantic = new OpenAIChatCompletionService("model", openai);
var settings = new OpenAIPromptExecutionSettings { FunctionChoiceBehavior = FunctionChoiceBehavior.Auto() };

foreach (var (arguments, finish) in new[] { ("{\"keepDays\": 365}", "tool_calls"), ("{}", "tool_calls"), ("{\"keepDays\": 365", "length") })
foreach (var streamed in new[] { false, true })
{
    (server.Arguments, server.Finish) = (arguments, finish);
    await Show("Semantic Kernel", async () =>
    {
        var history = new ChatHistory("Clean up.");
        if (!streamed) await semantic.GetChatMessageContentsAsync(history, settings, kernel);
        else await foreach (var _ in semantic.GetStreamingChatMessageContentsAsync(history, settings, kernel)) { }
    });
    await Show("Extensions.AI", async () =>
    {
        if (!streamed) await extensions.GetResponseAsync("Clean up.", options);
        else await foreach (var _ in extensions.GetStreamingResponseAsync("Clean up.", options)) { }
    });

    async Task Show(string name, Func<Task> run)
    {
        ran.Clear();
        await run();
        var told = server.Told.Contains("cleaned") ? "cleaned" : server.Told.Contains("invalid JSON") ? "invalid JSON" : server.Told;
        var what = ran.Count == 0 ? "runs nothing" : string.Join(", ", ran);
        Console.WriteLine($"{arguments} {(streamed ? "streamed" : "whole")}, {name}: {what}; the model is told: {told}");
    }
}

// Asks for the function that the request has, and says "Done." once it has the result.
sealed class Server : HttpMessageHandler
{
    public string Arguments { get; set; } = "";
    public string Finish { get; set; } = "";
    public string Told { get; private set; } = "";

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel)
    {
        var asked = JsonNode.Parse(await request.Content!.ReadAsStringAsync(cancel))!;
        var last = asked["messages"]!.AsArray()[^1]!;
        var hasResult = (string)last["role"]! == "tool";
        if (hasResult) Told = last["content"]!.ToJsonString();
        var call = new JsonObject
        {
            ["index"] = 0,
            ["id"] = "call",
            ["type"] = "function",
            ["function"] = new JsonObject { ["name"] = (string)asked["tools"]![0]!["function"]!["name"]!, ["arguments"] = Arguments },
        };
        var message = new JsonObject { ["role"] = "assistant", ["content"] = hasResult ? "Done." : null };
        if (!hasResult) message["tool_calls"] = new JsonArray(call);
        var streamed = (bool?)asked["stream"] ?? false;
        var answer = new JsonObject
        {
            ["id"] = "answer",
            ["object"] = streamed ? "chat.completion.chunk" : "chat.completion",
            ["created"] = 1,
            ["model"] = "model",
            ["choices"] = new JsonArray(new JsonObject
            {
                ["index"] = 0,
                [streamed ? "delta" : "message"] = message,
                ["finish_reason"] = hasResult ? "stop" : Finish,
            }),
        }.ToJsonString();
        return new HttpResponseMessage(HttpStatusCode.OK)
        {
            Content = streamed
                ? new StringContent($"data: {answer}\n\ndata: [DONE]\n\n", Encoding.UTF8, "text/event-stream")
                : new StringContent(answer, Encoding.UTF8, "application/json"),
        };
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
echo "$seen"
right() { for how in whole streamed; do printf '%s %s, Semantic Kernel: %s\n%s %s, Extensions.AI: %s\n' "$1" $how "$2" "$1" $how "$3"; done; }
expected="$(
  right '{"keepDays": 365}' 'keeps 365; the model is told: cleaned' 'keeps 365; the model is told: cleaned'
  right '{}' 'keeps 1; the model is told: cleaned' 'keeps 1; the model is told: cleaned'
  right '{"keepDays": 365' 'runs nothing; the model is told: invalid JSON' 'keeps 1; the model is told: cleaned')"
[ "$seen" = "$expected" ] || { echo "the behaviour has changed"; exit 1; }
echo "Microsoft.Extensions.AI still runs a function with its defaults when the arguments were cut off"
