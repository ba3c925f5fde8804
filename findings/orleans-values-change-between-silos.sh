#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 (NuGet): some values arrive from another silo as other values, without an error. An enum within an object becomes a plain number, a
# BitArray of 10 bits gets 16, and an IPv6 address loses its zone.
#
# A property bag, a metadata dictionary, RequestContext: wherever the declared type is object, HttpStatusCode.TooManyRequests comes out of another silo as the int 429, and
# an enum of one's own likewise. "value is Phase" is false then, a switch takes its default, ToString() says "2" and not "Busy", and a Dictionary<object, T> does not find
# the key. A BitArray is filled up with zeros to whole bytes, so HasAllSet() of a full one is false, Not() sets bits that nobody has, and And() with one of the right length
# throws. fe80::1%3 becomes fe80::1, which cannot be connected to.
# Why one would guess otherwise: all of it is right where caller and grain share a silo, as on a developer's machine and in a test with one silo. The serializer keeps types
# elsewhere: a long, a Guid or a DateOnly in an object stays one, and so do DayOfWeek and DateTimeKind, of the enums. What it has no codec for it refuses with
# CodecNotFoundException. The documentation (its version for 10.0) says nothing of it. The enum in RequestContext is known since 2022 (dotnet/orleans issue 8210).
#
# Right results: what the caller in the grain's silo sees. An enum of one's own that is marked with [GenerateSerializer] arrives as it is. The length of a BitArray and the
# zone have to be sent beside it.
#
# Seen (a grain gives back what it was given):
#   value                                     caller in the same silo       caller in another silo
#   BitArray(10, true)                        10 bits, all set              16 bits, not all set
#   IPEndPoint                                [fe80::1%3]:80                [fe80::1]:80
#   object: Phase.Busy, an enum of one's own  Phase Busy                    Int32 2
#   object: HttpStatusCode.TooManyRequests    HttpStatusCode                Int32 429
#   RequestContext: Phase.Busy                Phase Busy                    Int32 2
#   object: a marked enum                     Marked Busy                   Marked Busy
#   object: DayOfWeek.Friday                  DayOfWeek Friday              DayOfWeek Friday
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
using System.Collections;
using System.Net;
using System.Net.Sockets;
using Orleans.Runtime;

var first = new IPEndPoint(IPAddress.Loopback, FreePort());
await using var same = await Start(first.Port);
await same.Services.GetRequiredService<IGrainFactory>().GetGrain<IEcho>("it").Port();
await using var other = await Start(FreePort());

foreach (var (name, silo) in new[] { ("same", same), ("other", other) })
{
    var grain = silo.Services.GetRequiredService<IGrainFactory>().GetGrain<IEcho>("it");
    if (await grain.Port() != first.Port)
        throw new InvalidOperationException("the grain is not where it should be");
    var bits = await grain.Bits(new BitArray(10, true));
    Console.WriteLine($"{name}: {bits.Length} bits, all set: {bits.HasAllSet()}");
    Console.WriteLine($"{name}: {await grain.Address(IPEndPoint.Parse("[fe80::1%3]:80"))}");
    var bag = new Dictionary<string, object>
    {
        ["own"] = Phase.Busy,
        ["status"] = HttpStatusCode.TooManyRequests,
        ["marked"] = Marked.Busy,
        ["day"] = DayOfWeek.Friday,
        ["long"] = 2L,
        ["date"] = new DateOnly(2026, 1, 2),
    };
    var back = await grain.Bag(bag);
    Console.WriteLine($"{name}: {string.Join(", ", bag.Keys.Select(key => $"{key} {Text(back[key])}"))}");
    Console.WriteLine($"{name}: is Phase: {back["own"] is Phase}, found as a key: {(await grain.Keys(new() { [Phase.Busy] = 1 })).ContainsKey(Phase.Busy)}");
    RequestContext.Set("phase", Phase.Busy);
    Console.WriteLine($"{name}: context {await grain.Context()}");
    RequestContext.Clear();
}

static string Text(object value) => FormattableString.Invariant($"{value.GetType().Name} {value}");

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

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

public enum Phase
{
    Idle,
    Waiting,
    Busy,
}

[GenerateSerializer]
public enum Marked
{
    Idle,
    Waiting,
    Busy,
}

public interface IEcho : IGrainWithStringKey
{
    Task<int> Port();
    Task<BitArray> Bits(BitArray bits);
    Task<IPEndPoint> Address(IPEndPoint address);
    Task<Dictionary<string, object>> Bag(Dictionary<string, object> bag);
    Task<Dictionary<object, int>> Keys(Dictionary<object, int> keys);
    Task<string> Context();
}

public sealed class EchoGrain(ILocalSiloDetails silo) : Grain, IEcho
{
    public Task<int> Port() => Task.FromResult(silo.SiloAddress.Endpoint.Port);

    public Task<BitArray> Bits(BitArray bits) => Task.FromResult(bits);

    public Task<IPEndPoint> Address(IPEndPoint address) => Task.FromResult(address);

    public Task<Dictionary<string, object>> Bag(Dictionary<string, object> bag) => Task.FromResult(bag);

    public Task<Dictionary<object, int>> Keys(Dictionary<object, int> keys) => Task.FromResult(keys);

    public Task<string> Context() => Task.FromResult(RequestContext.Get("phase") is { } phase ? $"{phase.GetType().Name} {phase}" : "nothing");
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'same: 10 bits, all set: True
same: [fe80::1%3]:80
same: own Phase Busy, status HttpStatusCode TooManyRequests, marked Marked Busy, day DayOfWeek Friday, long Int64 2, date DateOnly 01/02/2026
same: is Phase: True, found as a key: True
same: context Phase Busy
other: 16 bits, all set: False
other: [fe80::1]:80
other: own Int32 2, status Int32 429, marked Marked Busy, day DayOfWeek Friday, long Int64 2, date DateOnly 01/02/2026
other: is Phase: False, found as a key: False
other: context Int32 2' ] || { echo "the behaviour has changed"; exit 1; }
echo "values still change between silos"
