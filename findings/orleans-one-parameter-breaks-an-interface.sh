#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 (NuGet): one grain method with a parameter of a type that Orleans cannot copy makes all other methods of that grain
# interface fail too, at run time.
#
# The build is free of warnings, the silo starts, and other grains work. GetGrain throws CodecNotFoundException for the interface, with the name of a type
# that the method which is to be called has nothing to do with. A method that was added, and that nobody calls yet, so takes down those that worked.
# Why one would guess otherwise: the other methods' own parameters can all be copied; a serializer that is looked for when it is needed, or checked by the
# analyzer that the package brings, would fail where the fault is.
#
# Right result: only the method with the parameter fails, or the build does. Until then a test must call something of every grain interface.
#
# Seen:
#   Plain(int) of an interface that also has Odd(Unmarked): CodecNotFoundException: Could not find a copier for type Unmarked.
#   Plain(int) of an interface without it: works
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
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Orleans.Server" Version="10.4.2" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Net;
using System.Net.Sockets;
using Orleans.Configuration;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Host.UseOrleans(silo => silo.UseLocalhostClustering(FreePort(), FreePort()));
await using var app = builder.Build();
await app.StartAsync();
var grains = app.Services.GetRequiredService<IGrainFactory>();
await TellAsync("with the other method", value => grains.GetGrain<IMixed>("it").Plain(value));
await TellAsync("without it", value => grains.GetGrain<ISound>("it").Plain(value));
Environment.Exit(0);

static async Task TellAsync(string what, Func<int, Task<int>> call)
{
    try
    {
        Console.WriteLine($"{what}: {await call(1)}");
    }
    catch (Exception e)
    {
        Console.WriteLine($"{what}: {e.GetType().Name}: {e.Message}");
    }
}

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

public sealed record Unmarked(int Value);

public interface IMixed : IGrainWithStringKey
{
    Task<int> Plain(int value);

    Task<int> Odd(Unmarked value);
}

public sealed class Mixed : Grain, IMixed
{
    public Task<int> Plain(int value) => Task.FromResult(value);

    public Task<int> Odd(Unmarked value) => Task.FromResult(value.Value);
}

public interface ISound : IGrainWithStringKey
{
    Task<int> Plain(int value);
}

public sealed class Sound : Grain, ISound
{
    public Task<int> Plain(int value) => Task.FromResult(value);
}
CS
dotnet build -c Release -v quiet -nologo > build.log 2>&1 || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet bin/Release/net10.0/app.dll)
[ "$seen" = "with the other method: CodecNotFoundException: Could not find a copier for type Unmarked.
without it: 1" ] || { echo "Orleans changed: $seen"; exit 1; }
echo "a parameter that Orleans cannot copy still breaks all methods of its interface"
