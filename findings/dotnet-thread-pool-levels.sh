#!/bin/bash
# .NET 10, meter System.Runtime: two levels of the thread pool are published as counters.
#
# dotnet.thread_pool.thread.count and dotnet.thread_pool.queue.length go up and down. The documentation of .NET's built-in metrics lists both as
# UpDownCounter, as OpenTelemetry's conventions do. The runtime creates them as ObservableCounter, which says that a value never falls.
# Why one would guess otherwise: neighbours of the same meter that go up and down are right (dotnet.timer.count and dotnet.assembly.count are
# ObservableUpDownCounter), and whoever only prints values sees nothing. Exporters believe the type: in Prometheus the metrics become
# dotnet_thread_pool_queue_length_total of type counter, and a rate over it takes each fall for a restart of the process.
#
# Seen with .NET 10.0:
#   instrument                        type
#   dotnet.thread_pool.queue.length   ObservableCounter
#   dotnet.thread_pool.thread.count   ObservableCounter
#   dotnet.timer.count                ObservableUpDownCounter
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 TMPDIR="$folder"
cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Diagnostics.Metrics;

string[] wanted = ["dotnet.thread_pool.queue.length", "dotnet.thread_pool.thread.count", "dotnet.timer.count"];
var types = new SortedDictionary<string, string>(StringComparer.Ordinal);
using var listener = new MeterListener
{
    InstrumentPublished = (instrument, _) =>
    {
        if (instrument.Meter.Name == "System.Runtime" && wanted.Contains(instrument.Name)) types[instrument.Name] = instrument.GetType().Name.Split('`')[0];
    },
};
listener.Start();
foreach (var (name, type) in types) Console.WriteLine($"{name} {type}");
CS
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
expected="dotnet.thread_pool.queue.length ObservableCounter
dotnet.thread_pool.thread.count ObservableCounter
dotnet.timer.count ObservableUpDownCounter"
[ "$seen" = "$expected" ] || { echo "the types changed: $seen"; exit 1; }
echo "the thread pool's length of queue and number of threads are still counters in .NET $(dotnet --version)'s runtime"
