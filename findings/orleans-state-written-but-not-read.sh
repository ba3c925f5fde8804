#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 with Microsoft.Orleans.Persistence.Memory 10.4.2 (NuGet): grain storage writes a state of a type that it then refuses to read,
# so the grain can never be activated again.
#
# The serializer that storage has where no other is set is JSON with each type's name in it. On reading, a name has to be on a list, and a class of one's own is
# there if it is marked with [GenerateSerializer]. On writing, nothing asks for the list: WriteStateAsync returns, the data is stored, and all works as long as
# the activation lives. The next activation throws, hours or a restart later, and so does any call to the grain, one that would write a new state too.
# Why one would guess otherwise: who writes and who reads is the same program with the same settings, and a state is never an argument of a call, which is what
# [GenerateSerializer] is for. There is no warning when it is built. The example in Orleans' own documentation (August 2026) has [Serializable] alone.
#
# Right result: the same state, marked with [GenerateSerializer]. It has to be on each class within, too.
#
# Seen (7 is written, the grain is deactivated and called again):
#   state's class                          write     read       next write
#   no mark                                done      refused    refused
#   [Serializable]                         done      refused    refused
#   marked, has a list of unmarked ones    done      refused    refused
#   [GenerateSerializer]                   done      7          done
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
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Orleans.Server" Version="[10.4.2]" />
    <PackageReference Include="Microsoft.Orleans.Persistence.Memory" Version="[10.4.2]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Net;
using System.Net.Sockets;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Host.UseOrleans(silo => silo.UseLocalhostClustering(FreePort(), FreePort()).AddMemoryGrainStorageAsDefault());
await using var app = builder.Build();
await app.StartAsync();
var grains = app.Services.GetRequiredService<IGrainFactory>();

foreach (var kind in (string[])["Unmarked", "Serializable", "List", "Marked"])
{
    var grain = grains.GetGrain<ICount>("it", kind);
    var write = await Try(() => grain.Write(7));
    var before = await grain.Activation();
    await grain.Leave();
    await Task.Delay(500);
    var read = await Try(async () => await grain.Activation() == before ? throw new InvalidDataException("it is still the same activation") : await grain.Read());
    Console.WriteLine($"{kind}: {write}, {read}, {await Try(() => grain.Write(8))}");
}

static async Task<string> Try(Func<Task<int>> call)
{
    try
    {
        return $"{await call()}";
    }
    catch (Orleans.Runtime.OrleansException error) when (error.Message.Contains("is not allowed"))
    {
        return "refused";
    }
}

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

public interface ICount : IGrainWithStringKey
{
    Task<int> Write(int count);
    Task<int> Read();
    Task<Guid> Activation();
    Task Leave();
}

public interface IState
{
    int Count { get; set; }
}

public sealed class UnmarkedState : IState
{
    public int Count { get; set; }
}

[Serializable]
public sealed class SerializableState : IState
{
    public int Count { get; set; }
}

[GenerateSerializer]
public sealed class ListState : IState
{
    [Id(0)] public List<UnmarkedState> Counts { get; set; } = [];

    public int Count
    {
        get => Counts[^1].Count;
        set => Counts.Add(new UnmarkedState { Count = value });
    }
}

[GenerateSerializer]
public sealed class MarkedState : IState
{
    [Id(0)] public int Count { get; set; }
}

public abstract class CountGrain<T>(IPersistentState<T> state) : Grain, ICount where T : IState
{
    readonly Guid _activation = Guid.NewGuid();

    public async Task<int> Write(int count)
    {
        state.State.Count = count;
        await state.WriteStateAsync();
        return count;
    }

    public Task<int> Read() => Task.FromResult(state.State.Count);

    public Task<Guid> Activation() => Task.FromResult(_activation);

    public Task Leave()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }
}

public sealed class UnmarkedGrain([PersistentState("count")] IPersistentState<UnmarkedState> state) : CountGrain<UnmarkedState>(state);

public sealed class SerializableGrain([PersistentState("count")] IPersistentState<SerializableState> state) : CountGrain<SerializableState>(state);

public sealed class ListGrain([PersistentState("count")] IPersistentState<ListState> state) : CountGrain<ListState>(state);

public sealed class MarkedGrain([PersistentState("count")] IPersistentState<MarkedState> state) : CountGrain<MarkedState>(state);
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
echo "$seen"
[ "$seen" = "Unmarked: 7, refused, refused
Serializable: 7, refused, refused
List: 7, refused, refused
Marked: 7, 7, 8" ] || { echo "the behaviour has changed"; exit 1; }
echo "a state whose class is not marked is still written and then refused"
