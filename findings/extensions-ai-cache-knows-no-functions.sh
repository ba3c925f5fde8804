#!/bin/bash
# Microsoft.Extensions.AI 10.11.0 with Microsoft.Extensions.AI.OpenAI 10.11.0 (NuGet): UseDistributedCache answers a question with functions from the answer to the same
# question without them, or with others.
#
# An answer is found by a hash of the messages and of the options as JSON. ChatOptions.Tools is not in that JSON. So once "Does it rain in Bern?" was answered by "I cannot
# know.", a program that is then given a function for the weather goes on to say so as long as the entry lives, and does not call it. Where a function's parameters or description
# were put right, the answer is still the one that came of the wrong ones. RawRepresentationFactory is not in the JSON either, and it is the only way to settings that
# ChatOptions does not have, like a bias of tokens. With a cache that outlives the program, such as Redis, a new version of the program gets the old one's answers. Nothing
# tells that an answer was to another request.
# Why one would guess otherwise: temperature, seed, instructions, the answer's schema and even ToolMode, which says whether a call is a must, do make an entry of their own.
# The README shows the cache together with functions. The documentation of GetCacheKey says that messages and options are serialized to compute the key, and that of the
# class speaks of what a stored answer loses. Neither these nor Tools and RawRepresentationFactory say that the two do not count.
#
# Right results: the same client with a class that adds the functions and the raw options to the key.
#
# Seen (one question, asked twice; the second answer):
#   first             then               UseDistributedCache               with a key of one's own
#   no function       a function         I cannot know.                    It is dry, says the city.
#   parameter town    parameter city     It is dry, says the town.         It is dry, says the city.
#   no bias           a bias             No bias                           A bias
#   temperature 0     temperature 1      temperature 1                     temperature 1
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
    <PackageReference Include="Microsoft.Extensions.AI" Version="[10.11.0]" />
    <PackageReference Include="Microsoft.Extensions.AI.OpenAI" Version="[10.11.0]" />
    <PackageReference Include="Microsoft.Extensions.Caching.Memory" Version="[10.0.0]" />
    <PackageReference Include="OpenAI" Version="[2.15.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using OpenAI;
using RawOptions = OpenAI.Chat.ChatCompletionOptions;

var model = new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new("http://localhost/v1"), Transport = new HttpClientPipelineTransport(new HttpClient(new Server())) })
    .GetChatClient("model").AsIChatClient();

static MemoryDistributedCache Empty() => new(Options.Create(new MemoryDistributedCacheOptions()));
IChatClient UsualCache() => new ChatClientBuilder(model).UseDistributedCache(Empty()).UseFunctionInvocation().Build();
IChatClient OwnKey() => new ChatClientBuilder(model).Use(inner => new OwnKeyCache(inner, Empty())).UseFunctionInvocation().Build();

AITool city = AIFunctionFactory.Create((string city) => "dry", "weather"), town = AIFunctionFactory.Create((string town) => "dry", "weather");
RawOptions Biased() => new() { LogitBiases = { [42] = -100 } };

await Ask("function", new(), new() { Tools = [city] });
await Ask("parameter", new() { Tools = [town] }, new() { Tools = [city] });
await Ask("bias", new(), new() { RawRepresentationFactory = _ => Biased() });
await Ask("temperature", new() { Temperature = 0 }, new() { Temperature = 1 });

async Task Ask(string name, ChatOptions first, ChatOptions second)
{
    List<string> answers = [];
    foreach (var client in (IChatClient[])[UsualCache(), OwnKey()])
    {
        await client.GetResponseAsync("Does it rain in Bern?", first);
        answers.Add((await client.GetResponseAsync("Does it rain in Bern?", second)).Text);
    }
    Console.WriteLine($"{name}: {string.Join(" | ", answers)}");
}

sealed class OwnKeyCache(IChatClient inner, IDistributedCache cache) : DistributedCachingChatClient(inner, cache)
{
    protected override string GetCacheKey(IEnumerable<ChatMessage> messages, ChatOptions? options, params ReadOnlySpan<object?> values)
    {
        var functions = options?.Tools?.OfType<AIFunctionDeclaration>().Select(tool => $"{tool.Name} {tool.Description} {tool.JsonSchema}").ToList();
        var raw = options?.RawRepresentationFactory?.Invoke(InnerClient) is RawOptions set ? ModelReaderWriter.Write(set).ToString() : null;
        return base.GetCacheKey(messages, options, [.. values, functions, raw]);
    }
}

// Says what the request was. Given a function, it calls it first.
sealed class Server : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var asked = JsonNode.Parse(await request.Content!.ReadAsStringAsync(cancellation))!;
        var parameter = ((asked["tools"] as JsonArray)?[0]?["function"]?["parameters"]?["properties"] as JsonObject)?.Single().Key;
        var called = (string?)asked["messages"]!.AsArray()[^1]!["role"] == "tool";
        var text = called ? $"It is dry, says the {parameter}." : $"I cannot know. {(asked["logit_bias"] is null ? "No bias" : "A bias")}, temperature {asked["temperature"] ?? "unsaid"}.";
        var call = parameter is not null && !called;
        var arguments = $"{{\\\"{parameter}\\\": \\\"Bern\\\"}}";
        var message = call
            ? $$$"""{"role": "assistant", "content": null, "tool_calls": [{"id": "call", "type": "function", "function": {"name": "weather", "arguments": "{{{arguments}}}"}}]}"""
            : $$"""{"role": "assistant", "content": "{{text}}"}""";
        var answer = $$"""{"id": "answer", "object": "chat.completion", "created": 1, "model": "model", "choices": [{"index": 0, "message": {{message}}, "finish_reason": "{{(call ? "tool_calls" : "stop")}}"}]}""";
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(answer));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return new HttpResponseMessage { Content = content };
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'function: I cannot know. No bias, temperature unsaid. | It is dry, says the city.
parameter: It is dry, says the town. | It is dry, says the city.
bias: I cannot know. No bias, temperature unsaid. | I cannot know. A bias, temperature unsaid.
temperature: I cannot know. No bias, temperature 1. | I cannot know. No bias, temperature 1.' ] || { echo "the behaviour has changed"; exit 1; }
echo "the cache of Microsoft.Extensions.AI still takes no notice of the functions in a request"
