#!/bin/bash
# Microsoft.Extensions.AI.OpenAI 10.11.0 with OpenAI 2.14.0 (NuGet): a function whose parameters are described with oneOf, anyOf, allOf or $ref is sent with a schema that forbids
# every parameter.
#
# An MCP server describes its own tools. Where a tool takes either a city or a place on the map, or where its parameters extend those of others, the schema is an object with oneOf
# or allOf, and the parameters' names are within it. Of such a schema the client fills in what it misses: "properties": {} and "additionalProperties": false. The second is about the
# properties that stand right beside it. There are none, so no parameter may be there. All else is sent as it was. A server that holds calls to their schema can then let the
# model write {} alone, so that the function runs without what it was to be told, or finds that nothing fits and refuses. A server that does not do so shows the model a
# description that contradicts itself. This is without "strict". Chats and Responses are alike. No error and no warning.
# Why one would guess otherwise: strictness was not asked for, and JSON Schema says that what is not forbidden is allowed. For names in "properties" the addition forbids only what
# nobody described. The same oneOf one level deeper, as the schema of a parameter, is sent as it is, and the function's JsonSchema in the program is the one that the server gave.
#
# Right result: arguments that the function's own schema allows are allowed by what is sent. Until then: "additionalProperties": true in the tool's schema, which is kept.
#
# Seen (the same in chats and Responses; arguments of the tool, and whether its own schema and the one that is sent allow them; the server is a handler in this script's program):
#   tool's schema            arguments                        its own     as sent
#   oneOf                    {"city": "Bern"}                 yes         no
#   oneOf                    {}                               no          no
#   anyOf, all optional      {"city": "Bern"}                 yes         no
#   anyOf, all optional      {}                               yes         yes
#   allOf                    {"city": "Bern", "days": 2}      yes         no
#   $ref                     {"city": "Bern"}                 yes         no
#   properties               {"city": "Bern"}                 yes         yes
#   oneOf in a parameter     {"place": {"city": "Bern"}}      yes         yes
#   oneOf, additional true   {"city": "Bern"}                 yes         yes
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
    <NoWarn>OPENAI001;MEAI001</NoWarn>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="JsonSchema.Net" Version="[8.0.5]" />
    <PackageReference Include="Microsoft.Extensions.AI.OpenAI" Version="[10.11.0]" />
    <PackageReference Include="ModelContextProtocol.Core" Version="[2.4.0]" />
    <PackageReference Include="OpenAI" Version="[2.14.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.ClientModel;
using System.ClientModel.Primitives;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Json.Schema;
using Microsoft.Extensions.AI;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using OpenAI;

const string City = """{"properties": {"city": {"type": "string"}}, "required": ["city"]}""";
const string Point = """{"properties": {"x": {"type": "number"}, "y": {"type": "number"}}, "required": ["x", "y"]}""";
const string Days = """{"properties": {"days": {"type": "integer"}}}""";
const string Defined = $$$"""
    "$defs": {"city": {{{City}}} }
    """;
(string Name, string Schema, string[] Arguments)[] tried =
[
    ("oneOf", $$$"""{"type": "object", "oneOf": [{{{City}}}, {{{Point}}}]}""", ["""{"city": "Bern"}""", "{}"]),
    ("anyOf", """{"type": "object", "anyOf": [{"properties": {"city": {"type": "string"}}}, {"properties": {"zip": {"type": "string"}}}]}""", ["""{"city": "Bern"}""", "{}"]),
    ("allOf", $$$"""{"type": "object", "allOf": [{"$ref": "#/$defs/city"}, {{{Days}}}], {{{Defined}}} }""", ["""{"city": "Bern", "days": 2}"""]),
    ("ref", $$$"""{"type": "object", "$ref": "#/$defs/city", {{{Defined}}} }""", ["""{"city": "Bern"}"""]),
    ("properties", $$$"""{"type": "object", {{{City[1..]}}}""", ["""{"city": "Bern"}"""]),
    ("parameter", $$$"""{"type": "object", "properties": {"place": {"type": "object", "oneOf": [{{{City}}}, {{{Point}}}] } } }""", ["""{"place": {"city": "Bern"}}"""]),
    ("additional", $$$"""{"type": "object", "oneOf": [{{{City}}}, {{{Point}}}], "additionalProperties": true}""", ["""{"city": "Bern"}"""]),
];

// An MCP server and its client, with pipes between them.
var (asked, answered) = (new Pipe(), new Pipe());
await using var tools = McpServer.Create(new StreamServerTransport(asked.Reader.AsStream(), answered.Writer.AsStream()), new McpServerOptions
{
    Capabilities = new() { Tools = new() },
    Handlers = new()
    {
        ListToolsHandler = (_, _) => ValueTask.FromResult(new ListToolsResult
        {
            Tools = [.. tried.Select(one => new Tool { Name = one.Name, InputSchema = JsonElement.Parse(one.Schema) })],
        }),
        CallToolHandler = (_, _) => ValueTask.FromResult(new CallToolResult()),
    },
});
_ = tools.RunAsync();
await using var mcp = await McpClient.CreateAsync(new StreamClientTransport(asked.Writer.AsStream(), answered.Reader.AsStream()));
var found = await mcp.ListToolsAsync();

var server = new Server();
var openai = new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions
{
    Endpoint = new Uri("http://localhost/v1"), Transport = new HttpClientPipelineTransport(new HttpClient(server)),
});
foreach (var (kind, client) in new[] { ("chat", openai.GetChatClient("model").AsIChatClient()), ("responses", openai.GetResponsesClient().AsIChatClient("model")) })
foreach (var (name, _, arguments) in tried)
{
    var tool = found.Single(tool => tool.Name == name);
    await client.GetResponseAsync("How is the weather?", new ChatOptions { Tools = [tool] });
    foreach (var one in arguments)
        Console.WriteLine($"{kind}, {name} {one}: own {Allows(tool.JsonSchema.GetRawText(), one)}, sent {Allows(server.Schema, one)}");
}

static string Allows(string schema, string arguments) => JsonSchema.FromText(schema).Evaluate(JsonElement.Parse(arguments)).IsValid ? "yes" : "no";

sealed class Server : HttpMessageHandler
{
    public string Schema { get; private set; } = "";

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var sent = JsonNode.Parse(await request.Content!.ReadAsStringAsync(cancellation))!;
        var tool = sent["tools"]![0]!;
        Schema = (tool["function"] ?? tool)["parameters"]!.ToJsonString();
        var body = sent["messages"] is not null
            ? """{"id": "a", "object": "chat.completion", "created": 1, "model": "model", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Fine."}}]}"""
            : """{"id": "a", "object": "response", "created_at": 1, "model": "model", "status": "completed", "output": [], "tools": [], "parallel_tool_calls": true}""";
        return new HttpResponseMessage { Content = new StringContent(body, Encoding.UTF8, "application/json") };
    }
}
CS

timeout 300 dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
one='oneOf {"city": "Bern"}: own yes, sent no
oneOf {}: own no, sent no
anyOf {"city": "Bern"}: own yes, sent no
anyOf {}: own yes, sent yes
allOf {"city": "Bern", "days": 2}: own yes, sent no
ref {"city": "Bern"}: own yes, sent no
properties {"city": "Bern"}: own yes, sent yes
parameter {"place": {"city": "Bern"}}: own yes, sent yes
additional {"city": "Bern"}: own yes, sent yes'
[ "$seen" = "$(sed 's/^/chat, /' <<< "$one")
$(sed 's/^/responses, /' <<< "$one")" ] || { echo "the behaviour has changed"; exit 1; }
echo "a function whose parameters are in oneOf, anyOf, allOf or a reference is still sent as one that may have none"
