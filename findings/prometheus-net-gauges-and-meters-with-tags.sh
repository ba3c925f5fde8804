#!/bin/bash
# prometheus-net 8.2.1 (NuGet), .NET 10: of .NET's own meters, a Gauge is on no page though it counts as connected, and of meters or instruments that differ in their tags one series is
# made, with a wrong number.
#
# MeterAdapter listens to the instruments of System.Diagnostics.Metrics and publishes them for Prometheus. Its README says that all .NET Meters data is published by default.
# 1. Gauge<T> came with .NET 9: Record(41) sets a value. The adapter subscribes to it, adds it to prometheus_net_meteradapter_instruments_connected, and drops every value. The only
#    word of it goes to System.Diagnostics.Trace, which is not the application's log.
# 2. Since .NET 8 a Meter and an instrument can have tags of their own: one meter for each GPU, named the same, with gpu=0 and gpu=1, as an IMeterFactory gives them out.
#    Those tags become no labels, so both GPUs write into one series. Counters are added up. An observable gauge shows the GPU that was read last. An observable counter shows
#    the higher of the two: with 1000 and 2000 tokens it says 2000, and as long as the other one stays below, what that one does is in no rate.
# The status is 200 and no exception is thrown.
# Why one would guess otherwise: an observable gauge is published, and tags of a single measurement are labels. The gauge of connected instruments is what one would look at to see whether
# an instrument is served. The README says nothing of either. The tags are known (prometheus-net issue 359 and pull request 471, both open); of Gauge<T> no report was found.
#
# Right result: temperature 41 and 42, and a label gpu on each series, as it is where the measurement has the tag.
#
# Seen, for two meters "llama" with the tags gpu=0 and gpu=1 (what was measured; what is on the page):
#   Gauge temperature             41 and 42         not there
#   ObservableGauge queue         10 and 20         llama_queue 20
#   ObservableCounter tokens      1000 and 2000     llama_tokens 2000, and still 2000 when gpu 0 has 1900
#   Counter requests              10 and 20         llama_requests 30
#   the same, the tag with each measurement         llama_tagged{gpu="0"} 10, llama_tagged{gpu="1"} 20
#   instruments that are connected                  10, the two of Gauge among them
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
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="prometheus-net" Version="[8.2.1]" />
    <PackageReference Include="Microsoft.Extensions.Http" Version="[8.0.1]" />
    <PackageReference Include="Microsoft.Extensions.ObjectPool" Version="[8.0.11]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Diagnostics.Metrics;
using System.Text;
using Prometheus;

var registry = Metrics.NewCustomRegistry();
using var adapter = MeterAdapter.StartListening(new MeterAdapterOptions
{
    Registry = registry,
    MetricFactory = Metrics.WithCustomRegistry(registry),
    InstrumentFilterPredicate = instrument => instrument.Meter.Name == "llama",
});

int[] tokens = [1000, 2000];
for (var gpu = 0; gpu < 2; gpu++)
{
    var (mine, tag) = (gpu, new KeyValuePair<string, object?>("gpu", $"{gpu}"));
    var meter = new Meter("llama", version: null, tags: [tag]);
    meter.CreateGauge<int>("temperature").Record(41 + gpu);
    meter.CreateObservableGauge("queue", () => 10 * (mine + 1));
    meter.CreateObservableCounter("tokens", () => tokens[mine]);
    meter.CreateCounter<int>("requests").Add(10 * (gpu + 1));
    meter.CreateCounter<int>("tagged").Add(10 * (gpu + 1), tag);
}
await Show();
tokens[0] = 1900;
await Show();

async Task Show()
{
    using var page = new MemoryStream();
    await registry.CollectAndExportAsTextAsync(page);
    var lines = Encoding.UTF8.GetString(page.ToArray()).Split('\n').Where(line => line.Length > 0 && line[0] != '#');
    Console.WriteLine(string.Join('\n', lines.Order(StringComparer.Ordinal)));
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
page='llama_queue 20
llama_requests 30
llama_tagged{gpu="0"} 10
llama_tagged{gpu="1"} 20
llama_tokens 2000
prometheus_net_meteradapter_instruments_connected 10'
[ "$seen" = "$page
$page" ] || { echo "the behaviour has changed"; exit 1; }
echo "prometheus-net still publishes no Gauge and drops the tags of meters"
