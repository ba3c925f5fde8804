#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 (NuGet): a grain method that returns IAsyncEnumerable runs in between other calls of its grain, although the grain is not
# reentrant.
#
# A caller's loop becomes calls of an extension of the grain, and those are marked [AlwaysInterleave]. That goes for all of the method's body, not only for the
# time between two elements: at any await, before the first element too, another call can start and change what the body has just checked. A call that returns
# a Task is not safe from it either, as a streamed one starts while the other waits.
# Why one would guess otherwise: a grain that is not marked with [Reentrant] or the like finishes a call before it starts the next. Neither interface nor class
# says anything else here, there is no warning, and the documentation of streamed answers (August 2026) does not mention it.
#
# Right result: a grain that hands out one place. Both methods have the same lines, but for the return type: look, wait, take. One caller of four may get it.
#
# Seen (how many got the only place):
#   four calls that return Task<bool>:                  1
#   four calls that return IAsyncEnumerable<bool>:      4
#   one of each kind, the Task<bool> first:             2
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
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
  <ItemGroup><PackageReference Include="Microsoft.Orleans.Server" Version="[10.4.2]" /></ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Net;
using System.Net.Sockets;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Host.UseOrleans(silo => silo.UseLocalhostClustering(FreePort(), FreePort()));
await using var app = builder.Build();
await app.StartAsync();
var grains = app.Services.GetRequiredService<IGrainFactory>();

await Count("Task", grain => [.. Enumerable.Range(0, 4).Select(_ => grain.Take())]);
await Count("IAsyncEnumerable", grain => [.. Enumerable.Range(0, 4).Select(_ => First(grain.TakeStreamed()))]);
await Count("both", grain => [grain.Take(), First(grain.TakeStreamed())]);

async Task Count(string name, Func<IPlaces, Task<bool>[]> call)
{
    var grain = grains.GetGrain<IPlaces>(name);
    await grain.Wake();
    Console.WriteLine($"{name}: {(await Task.WhenAll(call(grain))).Count(got => got)}");
}

static async Task<bool> First(IAsyncEnumerable<bool> stream)
{
    await foreach (var got in stream) return got;
    throw new InvalidOperationException("nothing came");
}

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

public interface IPlaces : IGrainWithStringKey
{
    Task Wake();
    Task<bool> Take();
    IAsyncEnumerable<bool> TakeStreamed();
}

public sealed class PlacesGrain : Grain, IPlaces
{
    int _left = 1;

    public Task Wake() => Task.CompletedTask;

    public async Task<bool> Take()
    {
        var got = _left > 0;
        await Task.Delay(1000);   // writes to a data base, say
        if (got) _left--;
        return got;
    }

    public async IAsyncEnumerable<bool> TakeStreamed()
    {
        var got = _left > 0;
        await Task.Delay(1000);
        if (got) _left--;
        yield return got;
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
echo "$seen"
[ "$seen" = "Task: 1
IAsyncEnumerable: 4
both: 2" ] || { echo "the behaviour has changed"; exit 1; }
echo "streamed calls still run in between the other calls of a grain that is not reentrant"
