#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 with Microsoft.Orleans.Persistence.Memory 10.4.2 (NuGet): a grain's state that was set to false, 0 or null and stored comes back
# as the value that its class begins with, and a list that begins with something grows at each activation.
#
# The serializer that storage has where no other is set is JSON. Orleans sets it so that false, 0, null and the like are left out. On reading, what is left out
# stays as the class's own initializer made it: "bool Open { get; set; } = true" that was set to false and written is true again. A list is not replaced by the
# stored one either. The stored items are added to those that the initializer put in, and the next write stores both.
# WriteStateAsync and ReadStateAsync return, nothing is logged, and all is right as long as the activation lives, so it shows hours or a restart later.
# Why one would guess otherwise: storage is to give back what it was given. Newtonsoft's own setting writes such values, System.Text.Json does, and Orleans'
# other serializer, for calls, returns them as they were. 5 instead of 3 comes back as 5, an array is replaced, and a class without initializers shows nothing.
# The pages on persistence and on serialization in Orleans' documentation (its version for 10.0) say that storage uses Newtonsoft.Json, and nothing of this.
#
# Right results: the same silo with DefaultValueHandling and NullValueHandling Include and ObjectCreationHandling Replace in OrleansJsonSerializerOptions.
#
# Seen (written, the grain deactivated, read by the next activation; the list is written back once and read again):
#   property begins as     set to      with those settings      as Orleans is
#   Open = true            false       false                    true
#   Retries = 3            5           5                        5
#   Retries = 3            0           0                        3
#   Limit = 10 (int?)      null        null                     10
#   Roles = ["user"]       ["admin"]   ["admin"] ["admin"]      ["user","admin"] ["user","user","admin"]
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
    <PackageReference Include="Microsoft.Orleans.Persistence.Memory" Version="[10.4.2]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Newtonsoft.Json;
using Orleans.Serialization;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Host.UseOrleans(silo => silo.UseLocalhostClustering(FreePort(), FreePort()).AddMemoryGrainStorageAsDefault());
if (args[0] == "include")
    builder.Services.Configure<OrleansJsonSerializerOptions>(options =>
    {
        options.JsonSerializerSettings.DefaultValueHandling = DefaultValueHandling.Include;
        options.JsonSerializerSettings.NullValueHandling = NullValueHandling.Include;
        options.JsonSerializerSettings.ObjectCreationHandling = ObjectCreationHandling.Replace;
    });
await using var app = builder.Build();
await app.StartAsync();
var grains = app.Services.GetRequiredService<IGrainFactory>();

await Show("other", new DoorState { Retries = 5 });
await Show("empty", new DoorState { Open = false, Retries = 0, Limit = null });
await Show("list", new DoorState { Roles = ["admin"] });

async Task Show(string name, DoorState state)
{
    var door = grains.GetGrain<IDoor>(name);
    await door.Write(state);
    var same = await door.Read();
    var next = await Next(door);
    await door.Write(next);
    Console.WriteLine($"{name}: {Text(same)} -> {Text(next)} -> {Text(await Next(door))}");
}

async Task<DoorState> Next(IDoor door)
{
    var before = await door.Activation();
    await door.Leave();
    for (var tries = 0; await door.Activation() == before; tries++)
    {
        if (tries == 100)
            throw new TimeoutException("it is still the same activation");
        await Task.Delay(100);
    }
    return await door.Read();
}

static string Text(DoorState state) => System.Text.Json.JsonSerializer.Serialize(new object?[] { state.Open, state.Retries, state.Limit, state.Roles });

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}

public interface IDoor : IGrainWithStringKey
{
    Task Write(DoorState door);
    Task<DoorState> Read();
    Task<Guid> Activation();
    Task Leave();
}

[GenerateSerializer]
public sealed class DoorState
{
    [Id(0)] public bool Open { get; set; } = true;
    [Id(1)] public int Retries { get; set; } = 3;
    [Id(2)] public int? Limit { get; set; } = 10;
    [Id(3)] public List<string> Roles { get; set; } = ["user"];
}

public sealed class DoorGrain([PersistentState("door")] IPersistentState<DoorState> stored) : Grain, IDoor
{
    readonly Guid _activation = Guid.NewGuid();

    public async Task Write(DoorState door)
    {
        stored.State = door;
        await stored.WriteStateAsync();
    }

    public Task<DoorState> Read() => Task.FromResult(stored.State);

    public Task<Guid> Activation() => Task.FromResult(_activation);

    public Task Leave()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
include=$(timeout 120 dotnet out/app.dll include)
seen=$(timeout 120 dotnet out/app.dll default)
echo "$include"
echo "$seen"
[ "$include" = 'other: [true,5,10,["user"]] -> [true,5,10,["user"]] -> [true,5,10,["user"]]
empty: [false,0,null,["user"]] -> [false,0,null,["user"]] -> [false,0,null,["user"]]
list: [true,3,10,["admin"]] -> [true,3,10,["admin"]] -> [true,3,10,["admin"]]' ] || { echo "the right results are others"; exit 1; }
[ "$seen" = 'other: [true,5,10,["user"]] -> [true,5,10,["user","user"]] -> [true,5,10,["user","user","user"]]
empty: [false,0,null,["user"]] -> [true,3,10,["user","user"]] -> [true,3,10,["user","user","user"]]
list: [true,3,10,["admin"]] -> [true,3,10,["user","admin"]] -> [true,3,10,["user","user","admin"]]' ] || { echo "the behaviour has changed"; exit 1; }
echo "a state that was set to false, 0 or null still comes back as its default"
