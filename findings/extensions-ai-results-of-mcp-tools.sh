#!/bin/bash
# Microsoft.Extensions.AI.OpenAI 10.11.0 with ModelContextProtocol.Core 2.4.0 (NuGet): in a chat, the picture that an MCP tool returns is sent to the model as words, 400,000 characters
# for 300 kB, and a text as a .NET object around it.
#
# McpClientTool is a function for UseFunctionInvocation. What it returns is a DataContent or a TextContent, the classes for a message's parts. The client for chat completions knows
# strings and puts anything else through the JSON serializer. So a screenshot becomes its base64 in the prompt. No model can see it, it is more than most contexts hold, and where
# it fits, it is paid for again in each later request. A text becomes an object with line breaks, "$type": "text" and "text": ..., and JSON that a tool returned is then a text
# within JSON, each quote with a backslash, which a model that should repeat it or read a value has to undo. No error and no warning.
# Why one would guess otherwise: the packages are made for each other, and the client for Responses, of the same package, sends the same results as a picture and as a text. The
# documentation of AIFunctionFactory says that results of these classes are left as they are, so that a client can tell them by type. That a chat's tool message may have no picture
# is OpenAI's rule. An exception or a short note would say so, and a text may be there. The documentation of McpClientTool.CallAsync says that the function gives one JSON element
# with the whole result, which is a third form, and the one that tools with structured content have. That chats turn results into JSON, and that pictures exceed limits so, is
# in a comment on microsoft/agent-framework issue 1569, and not in either package's documentation.
#
# Right results: the same tools through the client for Responses. Until then, for chats: a function around the tool that returns the text of CallAsync's result.
#
# Seen (the tool's result as it is sent to the model; the picture has 300,000 bytes, \n is a line break):
#   tool      client      result
#   picture   chat        a text of 400,056 characters that begins {\n  "$type": "data",\n  "uri": "data:image/png;base64,
#   picture   responses   input_image: data:image/png;base64,
#   text      chat        {\n  "$type": "text",\n  "text": "It is \"sunny\"."\n}
#   text      responses   input_text: It is "sunny".
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
    <PackageReference Include="Microsoft.Extensions.AI" Version="[10.11.0]" />
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
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using OpenAI;

// An MCP server and its client, with pipes between them.
var (asked, answered) = (new Pipe(), new Pipe());
await using var tools = McpServer.Create(new StreamServerTransport(asked.Reader.AsStream(), answered.Writer.AsStream()), new McpServerOptions
{
    ToolCollection =
    [
        McpServerTool.Create(() => "It is \"sunny\".", new() { Name = "text" }),
        McpServerTool.Create(() => ImageContentBlock.FromBytes(new byte[300_000], "image/png"), new() { Name = "picture" }),
    ],
});
_ = tools.RunAsync();
await using var mcp = await McpClient.CreateAsync(new StreamClientTransport(asked.Writer.AsStream(), answered.Reader.AsStream()));
var found = await mcp.ListToolsAsync();

var server = new Server();
var openai = new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions
{
    Endpoint = new Uri("http://localhost/v1"), Transport = new HttpClientPipelineTransport(new HttpClient(server)),
});
var chat = openai.GetChatClient("model").AsIChatClient().AsBuilder().UseFunctionInvocation().Build();
var responses = openai.GetResponsesClient().AsIChatClient("model").AsBuilder().UseFunctionInvocation().Build();

foreach (var tool in found.OrderBy(tool => tool.Name, StringComparer.Ordinal))
{
    await Ask($"{tool.Name}, chat", chat, tool);
    await Ask($"{tool.Name}, responses", responses, tool);
}

async Task Ask(string name, IChatClient client, AIFunction tool)
{
    server.Tool = tool.Name;
    await client.GetResponseAsync("How is the weather?", new ChatOptions { Tools = [tool] });
    var result = server.Result is JsonArray parts
        ? string.Join(", ", parts.Select(part => $"{part!["type"]}: {part["text"] ?? part["image_url"]}"))
        : (string)server.Result!;
    var begin = result.Length < 100 ? result : $"{result[..(result.IndexOf("base64,") + 7)]} and so on, {result.Length} characters";
    Console.WriteLine($"{name}: {begin.ReplaceLineEndings("\\n")}");
}

// Calls the tool, then says that it is done.
sealed class Server : HttpMessageHandler
{
    public string Tool { get; set; } = "";
    public JsonNode? Result { get; private set; }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var sent = JsonNode.Parse(await request.Content!.ReadAsStringAsync(cancellation))!;
        var chat = sent["messages"] is not null;
        var last = (chat ? sent["messages"] : sent["input"])!.AsArray().Last()!;
        Result = chat ? (string?)last["role"] == "tool" ? last["content"] : null : last["output"];
        JsonObject answer;
        if (chat)
        {
            var message = new JsonObject { ["role"] = "assistant", ["content"] = Result is null ? null : "Done." };
            if (Result is null)
                message["tool_calls"] = new JsonArray(new JsonObject { ["id"] = "call", ["type"] = "function", ["function"] = new JsonObject { ["name"] = Tool, ["arguments"] = "{}" } });
            answer = new JsonObject
            {
                ["id"] = "answer", ["object"] = "chat.completion", ["created"] = 1, ["model"] = "model",
                ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["message"] = message, ["finish_reason"] = Result is null ? "tool_calls" : "stop" }),
            };
        }
        else
        {
            var item = Result is null
                ? new JsonObject { ["type"] = "function_call", ["id"] = "item", ["call_id"] = "call", ["name"] = Tool, ["arguments"] = "{}", ["status"] = "completed" }
                : new JsonObject
                {
                    ["type"] = "message", ["id"] = "item", ["role"] = "assistant", ["status"] = "completed",
                    ["content"] = new JsonArray(new JsonObject { ["type"] = "output_text", ["text"] = "Done.", ["annotations"] = new JsonArray() }),
                };
            answer = new JsonObject
            {
                ["id"] = "answer", ["object"] = "response", ["created_at"] = 1, ["status"] = "completed", ["model"] = "model", ["parallel_tool_calls"] = true,
                ["tools"] = new JsonArray(), ["tool_choice"] = "auto", ["output"] = new JsonArray(item),
            };
        }
        return new HttpResponseMessage { Content = new StringContent(answer.ToJsonString(), Encoding.UTF8, "application/json") };
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'picture, chat: {\n  "$type": "data",\n  "uri": "data:image/png;base64, and so on, 400056 characters
picture, responses: input_image: data:image/png;base64, and so on, 400035 characters
text, chat: {\n  "$type": "text",\n  "text": "It is \"sunny\"."\n}
text, responses: input_text: It is "sunny".' ] || { echo "the behaviour has changed"; exit 1; }
echo "a chat still has the pictures and texts of MCP tools as JSON of .NET objects"
