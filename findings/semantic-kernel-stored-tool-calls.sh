#!/bin/bash
# Microsoft.SemanticKernel.Connectors.OpenAI 1.82.0 (NuGet): once a chat history was stored as JSON and read back, the model is shown other tool calls than its own.
#
# A message that the connector made keeps the call as the model wrote it, and that is what the next request says. JSON does not keep it. What is left is
# FunctionCallContent.Arguments, where every value has become a text by then: 2 is "2", true is "True" with a capital T, and a list is one long text. The tool's
# result, a text, gets a second pair of quotes on the way.
# So it is without any storing, where a streamed answer's calls are put together by FunctionCallContentBuilder, as one does to run them oneself.
# Why one would guess otherwise: ChatHistory is made for JSON, both ways work without an error, and the same two messages are sent unchanged while the process
# lives. A model learns from its own calls how the next should look, and a server that keeps the beginning of a chat in a cache can no longer use it.
#
# Right result: the model's own words, {"days": 2, "wind": true, "hours": [6, 12]}, and the text sunny. The server is a handler in this script's program.
#
# Seen (what the request with the next question says):
#   history                      arguments of the assistant's call                                      the tool's result
#   in memory                    {"days": 2, "wind": true, "hours": [6, 12]}                            sunny
#   stored and read back         {"days":"2","wind":"True","hours":"[6, 12]"}                           "sunny"
#   streamed, run by hand        {"days":"2","wind":"True","hours":"[6, 12]"}                           sunny
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
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
    <NoWarn>SKEXP0010</NoWarn>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.SemanticKernel.Connectors.OpenAI" Version="[1.82.0]" />
    <PackageReference Include="Microsoft.SemanticKernel.Core" Version="[1.82.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Buffers;
using System.IO.Pipelines;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;

var kernel = new Kernel();
kernel.Plugins.AddFromFunctions("weather", [KernelFunctionFactory.CreateFromMethod((int days, bool wind, int[] hours) => "sunny", "ask")]);
var server = new Server();
var chat = new OpenAIChatCompletionService("model", new Uri("http://localhost/v1"), httpClient: new HttpClient(server));
var settings = new OpenAIPromptExecutionSettings { FunctionChoiceBehavior = FunctionChoiceBehavior.Auto() };
var byHand = new OpenAIPromptExecutionSettings { FunctionChoiceBehavior = FunctionChoiceBehavior.Auto(autoInvoke: false) };

var history = new ChatHistory();
history.AddUserMessage("How is the weather?");
history.Add(await chat.GetChatMessageContentAsync(history, settings, kernel));
await AskMore("in memory", history);
await AskMore("stored and read back", JsonSerializer.Deserialize<ChatHistory>(JsonSerializer.Serialize(history))!);

history = new ChatHistory();
history.AddUserMessage("How is the weather?");
var builder = new FunctionCallContentBuilder();
await foreach (var update in chat.GetStreamingChatMessageContentsAsync(history, byHand, kernel)) builder.Append(update);
var calls = builder.Build();
history.Add(new ChatMessageContent(AuthorRole.Assistant, [.. calls]));
foreach (var call in calls) history.Add((await call.InvokeAsync(kernel)).ToChatMessage());
await AskMore("streamed, run by hand", history);

async Task AskMore(string name, ChatHistory messages)
{
    messages = new ChatHistory(messages);
    messages.AddUserMessage("And then?");
    await chat.GetChatMessageContentAsync(messages, settings, kernel);
    var sent = server.Messages;
    var call = sent.Single(message => message!["tool_calls"] is not null)!["tool_calls"]!.AsArray().Single()!["function"]!;
    var result = sent.Single(message => (string?)message!["role"] == "tool")!["content"]!;
    Console.WriteLine($"{name}: {(string?)call["arguments"]} gave {(string?)result}");
}

// Calls the tool once, then answers with a text.
sealed class Server : HttpMessageHandler
{
    const string Call = """{"id": "call", "index": 0, "type": "function", "function": {"name": "weather-ask", "arguments": "{\"days\": 2, \"wind\": true, \"hours\": [6, 12]}"}}""";

    public JsonArray Messages { get; private set; } = [];

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var asked = JsonNode.Parse(await request.Content!.ReadAsStringAsync(cancellation))!;
        Messages = asked["messages"]!.AsArray();
        var streams = (bool?)asked["stream"] is true;
        var calls = !Messages.Any(message => message!["tool_calls"] is not null);
        var message = $$"""{"role": "assistant", {{(calls ? $"\"content\": null, \"tool_calls\": [{Call}]" : "\"content\": \"Fine.\"")}}}""";
        var choice = $$"""{"index": 0, "{{(streams ? "delta" : "message")}}": {{message}}, "finish_reason": "{{(calls ? "tool_calls" : "stop")}}"}""";
        var answer = $$"""{"id": "answer", "object": "chat.completion{{(streams ? ".chunk" : "")}}", "created": 1, "model": "model", "choices": [{{choice}}]}""";
        var body = Encoding.UTF8.GetBytes(streams ? $"data: {answer}\n\ndata: [DONE]\n\n" : answer);
        var content = new StreamContent(PipeReader.Create(new ReadOnlySequence<byte>(body)).AsStream());   // cannot seek, as from a socket
        content.Headers.ContentType = new MediaTypeHeaderValue(streams ? "text/event-stream" : "application/json");
        return new HttpResponseMessage { Content = content };
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'in memory: {"days": 2, "wind": true, "hours": [6, 12]} gave sunny
stored and read back: {"days":"2","wind":"True","hours":"[6, 12]"} gave "sunny"
streamed, run by hand: {"days":"2","wind":"True","hours":"[6, 12]"} gave sunny' ] || { echo "the behaviour has changed"; exit 1; }
echo "a chat history that was stored still shows the model other tool calls than it made"
