#!/bin/bash
# Microsoft.Extensions.AI.OpenAI 10.11.0 (NuGet): a refusal that is streamed in a chat is lost. What is left is an empty answer that ended well.
#
# A model that will not give what a schema asks for says so in "refusal", in place of "content". GetResponseAsync makes an ErrorContent of it, with the code "Refusal" and the
# words. GetStreamingResponseAsync collects the pieces and gives them out only if the answer has a call of a function too, which an answer that refuses hardly ever has. Without
# one there is a text of no characters and the reason "stop". A page stays empty, and a program that parses JSON fails for another reason than there was, or asks again and pays
# again. No exception and no warning.
# Why one would guess otherwise: the pieces were read and put together; whole answers have the error; and so have streamed ones of the same package's client for Responses. With
# the OpenAI package beneath, each piece is in RefusalUpdate. The package's README and the documentation of ErrorContent say nothing of it. No report of it
# was found.
#
# Right results: the same refusal in an answer that is not streamed, and the pieces that the OpenAI package has.
#
# Seen (finish reason; contents):
#   whole                             stop; Refusal: I cannot help with that.
#   streamed                          stop; a text of 0 characters
#   streamed, with a function's call  stop; a text of 0 characters, a call, Refusal: I cannot help with that.
#   OpenAI's own client, streamed     stop; Refusal: I cannot help with that.
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
    <PackageReference Include="OpenAI" Version="[2.14.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Buffers;
using System.ClientModel;
using System.ClientModel.Primitives;
using System.IO.Pipelines;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using OpenAI;

var server = new Server();
var openai = new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions
{
    Endpoint = new Uri("http://localhost/v1"), Transport = new HttpClientPipelineTransport(new HttpClient(server)),
}).GetChatClient("model");
var chat = openai.AsIChatClient();
const string question = "Fill in the form.";

Show("whole", await chat.GetResponseAsync(question));
Show("streamed", await chat.GetStreamingResponseAsync(question).ToChatResponseAsync());
server.Calls = true;
Show("streamed, with a function's call", await chat.GetStreamingResponseAsync(question).ToChatResponseAsync());
server.Calls = false;
var (refusal, reason) = ("", "");
await foreach (var update in openai.CompleteChatStreamingAsync(question))
{
    refusal += update.RefusalUpdate;
    reason += update.FinishReason?.ToString().ToLowerInvariant();
}
Console.WriteLine($"OpenAI's own client, streamed: {reason}; Refusal: {refusal}");

static void Show(string name, ChatResponse response) =>
    Console.WriteLine($"{name}: {response.FinishReason}; " + string.Join(", ", response.Messages.SelectMany(message => message.Contents).Select(content => content switch
    {
        ErrorContent error => $"{error.ErrorCode}: {error.Message}",
        TextContent text => $"a text of {text.Text.Length} characters",
        FunctionCallContent => "a call",
        _ => content.GetType().Name,
    })));

// Refuses.
sealed class Server : HttpMessageHandler
{
    public bool Calls { get; set; }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var streams = (bool?)JsonNode.Parse(await request.Content!.ReadAsStringAsync(cancellation))!["stream"] is true;
        var answer = new StringBuilder();
        if (streams)
        {
            Add("""{"role": "assistant", "content": "", "refusal": null}""", "null");
            Add("""{"refusal": "I cannot help"}""", "null");
            Add("""{"refusal": " with that."}""", "null");
            if (Calls) Add("""{"tool_calls": [{"index": 0, "id": "call", "type": "function", "function": {"name": "ask", "arguments": "{}"}}]}""", "null");
            Add("{}", "\"stop\"");
            answer.Append("data: [DONE]\n\n");
        }
        else
        {
            Add("""{"role": "assistant", "content": null, "refusal": "I cannot help with that."}""", "\"stop\"");
        }
        var content = new StreamContent(PipeReader.Create(new ReadOnlySequence<byte>(Encoding.UTF8.GetBytes(answer.ToString()))).AsStream());   // cannot seek, as from a socket
        content.Headers.ContentType = new MediaTypeHeaderValue(streams ? "text/event-stream" : "application/json");
        return new HttpResponseMessage { Content = content };

        void Add(string message, string reason)
        {
            var choice = $$"""{"index": 0, "{{(streams ? "delta" : "message")}}": {{message}}, "finish_reason": {{reason}}}""";
            var whole = $$"""{"id": "answer", "object": "chat.completion{{(streams ? ".chunk" : "")}}", "created": 1, "model": "model", "choices": [{{choice}}]}""";
            answer.Append(streams ? $"data: {whole}\n\n" : whole);
        }
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
[ "$seen" = "whole: stop; Refusal: I cannot help with that.
streamed: stop; a text of 0 characters
streamed, with a function's call: stop; a text of 0 characters, a call, Refusal: I cannot help with that.
OpenAI's own client, streamed: stop; Refusal: I cannot help with that." ] || { echo "the behaviour has changed"; exit 1; }
echo "a streamed refusal is still an empty answer"
