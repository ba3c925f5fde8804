#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 (NuGet): with AddDistributedGrainDirectory, a grain whose silo was killed cannot be called for half a minute, although the
# cluster knows after seconds that the silo is dead.
#
# GrainDirectoryOptions.RangeLeaseDuration is 30 s: after a silo is declared dead, its grains may not be registered elsewhere before so long after its estimated
# failure. The default directory has nothing of the kind, and the option's name does not tell that calls wait.
# Why one would guess otherwise: ClusterMembershipOptions say how soon a silo is dead (ProbeTimeout, NumMissedProbesLimit), and calls work from then on with the
# default directory.
#
# Right result: with RangeLeaseDuration zero the call is answered within seconds. What keeps two activations from harm has to be somewhere else then (ETags).
#
# Seen (each: two silos, the grain's is killed, until a call from the other one is answered):
#   default: 26 s
#   RangeLeaseDuration 0: 1 s
set -euo pipefail
folder=$(mktemp -d)
pids=""
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"
command -v redis-server > /dev/null || { echo "needs redis-server"; exit 1; }

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <NoWarn>ORLEANSEXP003</NoWarn>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Orleans.Server" Version="10.4.2" />
    <PackageReference Include="Microsoft.Orleans.Clustering.Redis" Version="10.4.2" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Orleans.Configuration;
using StackExchange.Redis;

// Arguments: "host" or "call", Redis' port, "lease" or "none".
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Host.UseOrleans(silo =>
{
    silo.UseRedisClustering(options => options.ConfigurationOptions = ConfigurationOptions.Parse($"127.0.0.1:{args[1]}"));
    silo.Configure<ClusterOptions>(options => options.ServiceId = options.ClusterId = args[2]);
    silo.Configure<EndpointOptions>(options => (options.AdvertisedIPAddress, options.SiloPort, options.GatewayPort) = (IPAddress.Loopback, FreePort(), 0));
    silo.Configure<ClusterMembershipOptions>(options => (options.ProbeTimeout, options.NumMissedProbesLimit, options.NumVotesForDeathDeclaration) = (TimeSpan.FromSeconds(0.5), 2, 1));
    if (args[2] == "none") silo.Configure<GrainDirectoryOptions>(options => options.RangeLeaseDuration = TimeSpan.Zero);
    silo.AddDistributedGrainDirectory();
});
await using var app = builder.Build();
await app.StartAsync();
var grain = app.Services.GetRequiredService<IGrainFactory>().GetGrain<IProcess>("it");
if (args[0] == "host")
{
    await grain.Id();
    Console.WriteLine("ready");
    await Task.Delay(Timeout.Infinite);
}
using var host = Process.GetProcessById(await grain.Id());
if (host.Id == Environment.ProcessId) throw new InvalidOperationException("the grain is here");
host.Kill();
var clock = Stopwatch.StartNew();
while (true)
    try
    {
        if (await grain.Id() == Environment.ProcessId) break;
    }
    catch (Exception)
    {
        await Task.Delay(100);
    }
Console.WriteLine((int)clock.Elapsed.TotalSeconds);
Environment.Exit(0);

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

public interface IProcess : IGrainWithStringKey
{
    Task<int> Id();
}

[Orleans.Placement.PreferLocalPlacement]
public sealed class ProcessGrain : Grain, IProcess
{
    public Task<int> Id() => Task.FromResult(Environment.ProcessId);
}
CS
dotnet publish app.csproj -o out -v quiet -nologo > log 2>&1 || { cat log; exit 1; }
port=$((20000 + RANDOM % 20000))
redis-server --port $port --bind 127.0.0.1 --save "" --dir "$folder" > /dev/null & pids="$!"
measure() {
  mkfifo "$1.pipe"
  dotnet out/app.dll host $port "$1" > "$1.pipe" & pids="$pids $!"
  read -r _ < "$1.pipe"
  timeout 120 dotnet out/app.dll call $port "$1"
}
with=$(measure lease)
without=$(measure none)
echo "default: $with s"
echo "RangeLeaseDuration 0: $without s"
[ "$with" -ge 15 ] && [ "$without" -lt 15 ] || { echo "this has changed"; exit 1; }
