#!/bin/bash
# OpenTelemetry.Exporter.Prometheus.AspNetCore 1.20.1-beta.1 (NuGet): the same bucket is another series, depending on the Accept header.
#
# Asked for OpenMetrics, the exporter writes a bucket's bound as a float (le="1.0"), else in its shortest form (le="1"). Both are what their formats
# ask for. But a label's value is a part of a series' name in Prometheus, so a server that begins to ask for OpenMetrics (a new version, or
# scrape_protocols in its configuration), or two servers that ask differently, have two series for one bucket, and a histogram_quantile over the
# time of the change adds up both sets.
# Why one would guess otherwise: counters and gauges keep their names in both formats, and nothing in the exporter's options speaks of it.
#
# Seen, for a histogram with the bounds 1 and 2.5:
#   Accept                                        labels
#   text/plain;version=0.0.4                      le="1" le="2.5" le="+Inf"
#   application/openmetrics-text;version=1.0.0    le="1.0" le="2.5" le="+Inf"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"
cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="OpenTelemetry.Exporter.Prometheus.AspNetCore" Version="[1.20.1-beta.1]" />
    <PackageReference Include="OpenTelemetry.Extensions.Hosting" Version="[1.20.1]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;
using OpenTelemetry.Metrics;

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Services.AddOpenTelemetry().WithMetrics(metrics => metrics
    .AddMeter("test")
    .AddView("wait", new ExplicitBucketHistogramConfiguration { Boundaries = [1, 2.5] })
    .AddPrometheusExporter(options => options.ScrapeResponseCacheDurationMilliseconds = 0));
await using var app = builder.Build();
app.MapPrometheusScrapingEndpoint();
await app.StartAsync();
new Meter("test").CreateHistogram<double>("wait").Record(0.5);
using var http = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
foreach (var accept in new[] { "text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0" })
{
    using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
    request.Headers.Add("Accept", accept);
    var text = await (await http.SendAsync(request)).Content.ReadAsStringAsync();
    Console.WriteLine(string.Join(' ', Regex.Matches(text, "le=\"[^\"]*\"").Select(match => match.Value)));
}
CS
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
expected='le="1" le="2.5" le="+Inf"
le="1.0" le="2.5" le="+Inf"'
[ "$seen" = "$expected" ] || { echo "the labels changed: $seen"; exit 1; }
echo "the exporter still writes le=\"1\" as text and le=\"1.0\" as OpenMetrics"
