#!/bin/bash
# Microsoft.Extensions.AI.OpenAI 10.11.0 with OpenAI 2.15.0 (NuGet): streamed responses end with a MissingMethodException.
#
# The package asks for OpenAI 2.14.0 or later. Version 2.15.0 changed what ResponsesClient.CreateResponseStreamingAsync returns, from
# AsyncCollectionResult to a task of AsyncStreamingResult, so code that was compiled for 2.14 does not find the method. NuGet says nothing,
# chats work whole and streamed, and responses work whole.
# Why one would guess otherwise: 2.15.0 is within the range that the package declares, and a minor version of a library that follows
# semantic versioning keeps its methods. That the method is marked experimental excuses the library; it does not reach who installs both.
#
# Right results: the same program with OpenAI 2.14.0.
#
# Seen (the server is not there, so reaching for it is what should happen):
#   OpenAI    whole response         streamed response
#   2.14.0    connection refused     connection refused
#   2.15.0    connection refused     MissingMethodException
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
    <NoWarn>OPENAI001</NoWarn>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Extensions.AI.OpenAI" Version="10.11.0" />
    <PackageReference Include="OpenAI" Version="[$(Client)]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.AI;
using OpenAI;

var options = new OpenAIClientOptions { Endpoint = new Uri("http://127.0.0.1:9/v1"), RetryPolicy = new ClientRetryPolicy(0) };
var chat = new OpenAIClient(new ApiKeyCredential("none"), options).GetResponsesClient().AsIChatClient("model");
Console.WriteLine(await Outcome(async () => await chat.GetResponseAsync("Hi")));
Console.WriteLine(await Outcome(async () =>
{
    await foreach (var _ in chat.GetStreamingResponseAsync("Hi")) { }
}));

static async Task<string> Outcome(Func<Task> work)
{
    try
    {
        await work();
        return "answered";
    }
    catch (Exception failure)
    {
        return failure is MissingMethodException ? nameof(MissingMethodException) : "connection refused";
    }
}
CS
seen=""
for client in 2.14.0 2.15.0; do
  rm -rf bin obj
  dotnet build -c Release -v quiet -p:Client="$client" > build.log || { cat build.log; exit 1; }
  seen+="$client $(dotnet bin/Release/net10.0/app.dll | paste -sd, -)"$'\n'
done
printf '%s' "$seen"
[ "$seen" = "2.14.0 connection refused,connection refused
2.15.0 connection refused,MissingMethodException
" ] || { echo "the behaviour has changed"; exit 1; }
echo "as recorded"
