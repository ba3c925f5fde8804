#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 (NuGet) on Linux: a silo that is told to listen on the ports of another one that runs starts without an error. Both listen
# there, and the kernel gives each new connection to one of them.
#
# So a second copy of a program with UseLocalhostClustering() and its fixed ports, started by accident, is a second cluster at the same address: grains live
# twice with states of their own, and a client may reach another cluster each time it connects. Nothing in either program says so.
# Why one would guess otherwise: any other server ends with "address already in use", and a port that is taken is how most programs find out that they run
# already.
#
# Right result: the second silo fails to start. Until then: look whether somebody answers at the ports before a silo is started, or take free ones.
#
# Seen (two processes, the same ports, each calls the same grain twice):
#   listeners at the silo's port: 2
#   first: 1, 2
#   second: 1, 2          (3, 4 were the same grain; a refused start were the usual)
set -euo pipefail
folder=$(mktemp -d)
pids=""
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Orleans.Server" Version="10.4.2" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
// Arguments: the silo's port, the gateway's port. Prints what two calls of one grain give, and how many listen at the silo's port; lives until its input ends.
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Host.UseOrleans(silo => silo.UseLocalhostClustering(int.Parse(args[0]), int.Parse(args[1])));
await using var app = builder.Build();
await app.StartAsync();
var counter = app.Services.GetRequiredService<IGrainFactory>().GetGrain<ICounter>("it");
var (first, second) = (await counter.Add(), await counter.Add());
const string Listens = " 0A ";
var listeners = File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6")).Count(line => line.Contains($":{int.Parse(args[0]):X4} ") && line.Contains(Listens));
Console.WriteLine($"{first}, {second}, {listeners} listening");
await Console.In.ReadToEndAsync();
Environment.Exit(0);

public interface ICounter : IGrainWithStringKey
{
    Task<int> Add();
}

public sealed class Counter : Grain, ICounter
{
    int _count;

    public Task<int> Add() => Task.FromResult(++_count);
}
CS
dotnet build -c Release -v quiet -nologo > build.log 2>&1 || { cat build.log; exit 1; }

free() { python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
silo=$(free) gateway=$(free)
mkfifo hold
sleep 300 > hold & pids="$!"
start() { dotnet bin/Release/net10.0/app.dll "$silo" "$gateway" < hold > "$1" 2>&1 & pids="$pids $!"; }
said() { for _ in $(seq 300); do [ -s "$1" ] && break; sleep 0.2; done; head -1 "$1"; }
start first; first=$(said first)
start second; second=$(said second)
echo "first: $first; second: $second"
[ "$first" = "1, 2, 1 listening" ] && [ "$second" = "1, 2, 2 listening" ] || { echo "Orleans changed"; exit 1; }
echo "a second silo still starts at the ports of one that runs"
