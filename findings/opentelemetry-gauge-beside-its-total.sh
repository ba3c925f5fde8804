#!/bin/bash
# OpenTelemetry.Exporter.Prometheus.AspNetCore 1.20.1-beta.1 (NuGet): a gauge "sessions" and a counter "sessions.total" are both missing when a Prometheus server asks. Who
# looks with curl or a browser sees both.
#
# The gauge says how many there are now, the counter how many there were in all: a usual pair. In Prometheus they are sessions and sessions_total, two names. In the
# format OpenMetrics a counter's family is named without _total, so the exporter finds one family of two types, and leaves out both metrics whole. A Prometheus server
# asks for OpenMetrics before anything else. curl, a browser and most tests get the older text, in which both are. It is the same with a counter "sessions", and where
# the counter belongs to another meter, such as a library's: it takes the application's gauge away. The status is 200, and the application's log says nothing. There is
# a warning, to an event source that nobody listens to by default.
# Why one would guess otherwise: the two names are different in either format, .NET and OpenTelemetry take them for two instruments, and of two that collide one would
# expect that one stays. The package's README does not speak of it.
#
# Right results: the older text, from the same program. A gauge whose name differs by more ("jobs.open") is there in both.
#
# Seen:
#   metric                              asked as curl does    asked as Prometheus 3 does
#   gauge sessions                      3                     missing
#   counter sessions.total              9                     missing
#   up-down counter workers             2                     missing
#   counter workers of another meter    5                     missing
#   gauge jobs.open, counter jobs       1, 7                  1, 7
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
    <PackageReference Include="OpenTelemetry.Exporter.Prometheus.AspNetCore" Version="[1.20.1-beta.1]" />
    <PackageReference Include="OpenTelemetry.Extensions.Hosting" Version="[1.20.1]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Diagnostics.Metrics;
using OpenTelemetry.Metrics;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders().AddConsole().SetMinimumLevel(LogLevel.Warning);
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Services.AddOpenTelemetry().WithMetrics(metrics => metrics.AddMeter("Application", "Library").AddPrometheusExporter());
await using var app = builder.Build();
app.MapPrometheusScrapingEndpoint();
await app.StartAsync();

using var application = new Meter("Application");
using var library = new Meter("Library");
application.CreateObservableGauge("sessions", () => 3);
application.CreateCounter<int>("sessions.total").Add(9);
application.CreateUpDownCounter<int>("workers").Add(2);
library.CreateCounter<int>("workers").Add(5);
application.CreateObservableGauge("jobs.open", () => 1);
application.CreateCounter<int>("jobs").Add(7);

// curl's header, and the one that Prometheus 3 sends unless scrape_protocols say otherwise.
await Show("curl", "*/*");
await Show("Prometheus", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    + "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2");

async Task Show(string name, string accept)
{
    using var http = new HttpClient();
    http.DefaultRequestHeaders.TryAddWithoutValidation("Accept", accept);
    var answer = await http.GetAsync(app.Urls.First() + "/metrics");
    var lines = (await answer.Content.ReadAsStringAsync()).Split('\n')
        .Where(line => line.Contains("otel_scope_name=") && !line.Contains("_created{"))
        .Select(line => line[..line.IndexOf('{')] + line[line.LastIndexOf(' ')..])
        .Order(StringComparer.Ordinal);
    Console.WriteLine($"{name}: {(int)answer.StatusCode}, {answer.Content.Headers.ContentType?.MediaType}: {string.Join(", ", lines)}");
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet out/app.dll 2>&1)
echo "$seen"
[ "$seen" = "curl: 200, text/plain: jobs_open 1, jobs_total 7, sessions 3, sessions_total 9, workers 2, workers_total 5
Prometheus: 200, application/openmetrics-text: jobs_open 1, jobs_total 7" ] || { echo "the behaviour has changed"; exit 1; }
echo "a gauge and the counter of its total are still left out for Prometheus"
