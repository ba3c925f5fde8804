#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 (NuGet): an exception of .NET keeps its type and its message on the way from another silo, and loses what tells its reason. A
# SocketException's code is Success then.
#
# A grain calls a web service and lets an HttpRequestException through. A caller in the grain's own silo sees StatusCode 429. A caller in another silo gets an
# HttpRequestException with the same message and no StatusCode. So "catch (HttpRequestException e) when (e.StatusCode == HttpStatusCode.TooManyRequests)" works where there
# is one silo, as on a developer's machine, and from the second silo on it depends on where the grain happens to live. The same goes for properties of other exceptions,
# and for those of an inner one. Nothing is logged.
# Why one would guess otherwise: the type is kept, so each catch by type still works, and message, inner exception and even Data are kept with it. The documentation
# (its version for 10.0) says that the serializer is of high fidelity, and nothing of this.
#
# Right results: what the caller in the grain's silo sees.
#
# Seen:
#   exception                                     caller in the same silo    caller in another silo
#   HttpRequestException.StatusCode               TooManyRequests            null
#   HttpRequestException.HttpRequestError         ConnectionError            Unknown
#     its inner SocketException.SocketErrorCode   ConnectionRefused          Success
#   ArgumentException.ParamName                   "model"                    null
#   FileNotFoundException.FileName                "model.gguf"               null
#   JsonException.Path                            "$.messages"               null
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
    <PackageReference Include="Microsoft.Orleans.Server" Version="[10.4.2]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Orleans.Runtime;

var first = new IPEndPoint(IPAddress.Loopback, FreePort());
await using var same = await Start(first.Port);
await same.Services.GetRequiredService<IGrainFactory>().GetGrain<IFail>("it").Ready();
await using var other = await Start(FreePort());

foreach (var (name, silo) in new[] { ("same", same), ("other", other) })
{
    var grain = silo.Services.GetRequiredService<IGrainFactory>().GetGrain<IFail>("it");
    if (await grain.Ready() != first.Port)
        throw new InvalidOperationException("the grain is not where it should be");
    for (var kind = 0; kind < 5; kind++)
    {
        try
        {
            await grain.Fail(kind);
        }
        catch (Exception error)
        {
            Console.WriteLine($"{name}: {error.GetType().Name} {error.Message.Split(" (")[0]}, data {error.Data["attempt"]}, {Reason(error)}");
        }
    }
}

async Task<WebApplication> Start(int port)
{
    var builder = WebApplication.CreateSlimBuilder();
    builder.Logging.ClearProviders();
    builder.WebHost.UseUrls("http://127.0.0.1:0");
    builder.Host.UseOrleans(silo => silo.UseLocalhostClustering(port, FreePort(), first));
    var app = builder.Build();
    await app.StartAsync();
    return app;
}

static string Reason(Exception error) => error switch
{
    HttpRequestException { InnerException: SocketException inner } http =>
        $"error {http.HttpRequestError}, inner {inner.SocketErrorCode} ({inner.Message})",
    HttpRequestException http => $"status {http.StatusCode?.ToString() ?? "null"}",
    ArgumentException argument => $"parameter {argument.ParamName ?? "null"}",
    FileNotFoundException file => $"file {file.FileName ?? "null"}",
    JsonException json => $"path {json.Path ?? "null"}",
    _ => "another exception",
};

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

public interface IFail : IGrainWithStringKey
{
    Task<int> Ready();
    Task Fail(int kind);
}

public sealed class FailGrain(ILocalSiloDetails silo) : Grain, IFail
{
    public Task<int> Ready() => Task.FromResult(silo.SiloAddress.Endpoint.Port);

    public Task Fail(int kind)
    {
        Exception error = kind switch
        {
            0 => new HttpRequestException("busy", null, HttpStatusCode.TooManyRequests),
            1 => new HttpRequestException(HttpRequestError.ConnectionError, "no answer", new SocketException((int)SocketError.ConnectionRefused)),
            2 => new ArgumentException("unknown", "model"),
            3 => new FileNotFoundException("missing", "model.gguf"),
            _ => new JsonException("wrong", "$.messages", 3, 4),
        };
        error.Data["attempt"] = "2nd";
        throw error;
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'same: HttpRequestException busy, data 2nd, status TooManyRequests
same: HttpRequestException no answer, data 2nd, error ConnectionError, inner ConnectionRefused (Connection refused)
same: ArgumentException unknown, data 2nd, parameter model
same: FileNotFoundException missing, data 2nd, file model.gguf
same: JsonException wrong, data 2nd, path $.messages
other: HttpRequestException busy, data 2nd, status null
other: HttpRequestException no answer, data 2nd, error Unknown, inner Success (Connection refused)
other: ArgumentException unknown, data 2nd, parameter null
other: FileNotFoundException missing, data 2nd, file null
other: JsonException wrong, data 2nd, path null' ] || { echo "the behaviour has changed"; exit 1; }
echo "exceptions still lose their reason between silos"
