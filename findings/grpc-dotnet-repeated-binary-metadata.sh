#!/bin/bash
# Grpc.AspNetCore 2.85.0 with Grpc.Net.Client 2.85.0 (NuGet): if a call's metadata has two binary entries of one key, the server method cannot read any of the metadata.
#
# Grpc.Net.Client sends both as one header, "AQID, BAUG". gRPC's protocol allows this, and says that who receives it has to split binary headers at commas before it
# decodes base64. Grpc.AspNetCore does not split. ServerCallContext.RequestHeaders, whichever key is looked for, then throws a FormatException on base64. So the call ends
# with Unknown, "Exception was thrown by handler", or the check of a token in an interceptor ends so. Client and server are of the same library and version.
# Why one would guess otherwise: Metadata is a list that may have a key more than once, and GetAll(key) is there for it. Metadata.Add takes the second entry. Text
# entries arrive, as one with a comma in between, which the protocol allows. And from server to client the same two binary entries arrive as two, in headers and in trailers.
# The client fails too once a server or a proxy sends them joined, as it may: the call, which was answered, then ends with Internal.
#
# Right result: two entries, as from server to client. Until then: another key for each, or one entry that has both.
#
# Seen (entries of one key are in the metadata beside "user: ada"):
#   metadata                                      the other side
#   to the server: one binary entry               user ada, 010203
#   to the server: two text entries               user ada, "x, y"
#   to the server: two binary entries             Unknown, FormatException, for "user" too
#   to the client: two binary entries             010203 and 040506
#   to the client: the same two, joined           Internal, FormatException
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <Nullable>enable</Nullable>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Grpc.AspNetCore" Version="[2.85.0]" />
    <Protobuf Include="ask.proto" />
  </ItemGroup>
</Project>
XML
cat > ask.proto <<'PROTO'
syntax = "proto3";

package ask;

service Asked {
  rpc User(Question) returns (Answer);
  rpc Tags(Question) returns (Answer);
  rpc Both(Question) returns (Answer);
  rpc Joined(Question) returns (Answer);
}

message Question {
}

message Answer {
  string text = 1;
}
PROTO
cat > Program.cs <<'CS'
using System.Net;
using Ask;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
builder.Services.AddGrpc(grpc => grpc.EnableDetailedErrors = true);
await using var app = builder.Build();
app.MapGrpcService<AskedService>();
await app.StartAsync();
using var channel = GrpcChannel.ForAddress(app.Urls.First());
var client = new Asked.AskedClient(channel);
byte[] one = [1, 2, 3], two = [4, 5, 6];

await Say("one binary entry, user", () => client.UserAsync(new Question(), new Metadata { { "user", "ada" }, { "tag-bin", one } }));
await Say("one binary entry, tags", () => client.TagsAsync(new Question(), new Metadata { { "user", "ada" }, { "tag-bin", one } }));
await Say("two text entries, tags", () => client.TagsAsync(new Question(), new Metadata { { "user", "ada" }, { "tag", "x" }, { "tag", "y" } }));
await Say("two binary entries, user", () => client.UserAsync(new Question(), new Metadata { { "user", "ada" }, { "tag-bin", one }, { "tag-bin", two } }));
await Say("two binary entries, tags", () => client.TagsAsync(new Question(), new Metadata { { "user", "ada" }, { "tag-bin", one }, { "tag-bin", two } }));
await Say("to the client", () => client.BothAsync(new Question()));
await Say("to the client, joined", () => client.JoinedAsync(new Question()));

static async Task Say(string what, Func<AsyncUnaryCall<Answer>> ask)
{
    using var call = ask();
    try
    {
        var answer = await call;
        var headers = AskedService.Text(await call.ResponseHeadersAsync);
        var trailers = AskedService.Text(call.GetTrailers());
        Console.WriteLine($"{what}: {answer.Text}{(headers + trailers == "" ? "" : $" headers {headers}, trailers {trailers}")}");
    }
    catch (RpcException error)
    {
        Console.WriteLine($"{what}: {error.StatusCode}, {error.Status.Detail.Split(". ")[1].Split(':')[0]}");
    }
}

public sealed class AskedService : Asked.AskedBase
{
    public override Task<Answer> User(Question question, ServerCallContext context) =>
        Task.FromResult(new Answer { Text = context.RequestHeaders.GetValue("user") ?? "nobody" });

    public override Task<Answer> Tags(Question question, ServerCallContext context) =>
        Task.FromResult(new Answer { Text = Text(context.RequestHeaders) });

    public override async Task<Answer> Both(Question question, ServerCallContext context)
    {
        await context.WriteResponseHeadersAsync(new Metadata { { "tag-bin", new byte[] { 1, 2, 3 } }, { "tag-bin", new byte[] { 4, 5, 6 } } });
        context.ResponseTrailers.Add("tag-bin", [1, 2, 3]);
        context.ResponseTrailers.Add("tag-bin", [4, 5, 6]);
        return new Answer { Text = "answered" };
    }

    public override Task<Answer> Joined(Question question, ServerCallContext context)
    {
        context.GetHttpContext().Response.Headers["tag-bin"] = "AQID,BAUG";
        return Task.FromResult(new Answer { Text = "answered" });
    }

    public static string Text(Metadata metadata) =>
        string.Join(" and ", metadata.Where(entry => entry.Key.StartsWith("tag")).Select(entry => entry.IsBinary ? Convert.ToHexString(entry.ValueBytes) : entry.Value));
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'one binary entry, user: ada
one binary entry, tags: 010203
two text entries, tags: x, y
two binary entries, user: Unknown, FormatException
two binary entries, tags: Unknown, FormatException
to the client: answered headers 010203 and 040506, trailers 010203 and 040506
to the client, joined: Internal, FormatException' ] || { echo "the behaviour has changed"; exit 1; }
echo "two binary entries of one key still cannot be read"
