#!/bin/bash
# Grpc.AspNetCore 2.85.0 (NuGet): a server method that is ended by an exception answers OK, and a stream that was cut off looks whole, if the exception is that of a call
# which the method made itself and which the other server ended early.
#
# A server may answer before it has read all that is streamed to it, with OK: it has the rest already, or wants no more. In Grpc.Net.Client the next WriteAsync then throws
# an RpcException whose StatusCode is OK. And Grpc.AspNetCore takes the status of any RpcException that leaves a method as that method's own. Together: a method that passes
# pieces on to another server stops midway, what follows in it is not done, and its caller reads a stream that ends as a complete one does. The log has one line of
# level information, "Error status code 'OK' with detail '' raised". With one answer instead of a stream the caller gets Internal and a text on a missing message.
# Why one would guess otherwise: each other exception ends a method with another status than OK (Unknown, or the code of the RpcException), OK "signals success; other
# values are failure" in the documentation, and RpcException is documented as thrown when a call fails. No page of it was found that says that an exception can have OK.
# That WriteAsync throws it is meant (grpc-dotnet pull request 1199). What becomes of it one server further on is nowhere.
#
# Right result: any status other than OK for the method that was cut off. To take the early end as what it is, catch RpcException with StatusCode OK around the writes and
# read the answer of the inner call. An interceptor that turns such an exception into Internal keeps the rest honest.
#
# Seen (the method is to push 40 pieces to a store and report each, then "done"):
#   store            the writer itself     its caller, answer in a stream      its caller, one answer
#   takes all        40 pieces             OK, done                            40 pieces
#   is full at 3     ResourceExhausted     ResourceExhausted, not done         ResourceExhausted (no room)
#   has enough at 3  RpcException of OK    OK, not done                        Internal (failed to deserialize)
#     and the early end is caught                                              3 pieces
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
    <PackageReference Include="Grpc.AspNetCore" Version="[2.85.0]" />
    <Protobuf Include="copies.proto" />
  </ItemGroup>
</Project>
XML
cat > copies.proto <<'PROTO'
syntax = "proto3";

package copies;

service Store {
  rpc Take(stream Piece) returns (Taken);
}

service Copier {
  rpc Copy(Order) returns (Taken);
  rpc CopyWithProgress(Order) returns (stream Taken);
}

message Order {
  string store = 1;
  bool expects_end = 2;
}

message Piece {
  int32 number = 1;
  string store = 2;
}

message Taken {
  int32 pieces = 1;
  bool done = 2;
}
PROTO
cat > Program.cs <<'CS'
using System.Net;
using Copies;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
builder.Services.AddGrpc();
builder.Services.AddSingleton(services => GrpcChannel.ForAddress(services.GetRequiredService<Place>().Url));
builder.Services.AddSingleton<Place>();
await using var app = builder.Build();
app.MapGrpcService<StoreService>();
app.MapGrpcService<CopierService>();
await app.StartAsync();
app.Services.GetRequiredService<Place>().Url = app.Urls.First();
var channel = app.Services.GetRequiredService<GrpcChannel>();
var copier = new Copier.CopierClient(channel);

foreach (var store in (string[])["takes all", "full", "has enough"])
{
    try
    {
        Console.WriteLine($"{store}, writer itself: {await CopierService.Push(new Store.StoreClient(channel), store, _ => Task.CompletedTask, false)} pieces");
    }
    catch (RpcException error)
    {
        Console.WriteLine($"{store}, writer itself: {error.GetType().Name} {error.StatusCode}");
    }

    var done = false;
    using (var call = copier.CopyWithProgress(new Order { Store = store }))
    {
        try
        {
            await foreach (var taken in call.ResponseStream.ReadAllAsync())
                done |= taken.Done;
            Console.WriteLine($"{store}, answer in a stream: {call.GetStatus().StatusCode}, done: {done}");
        }
        catch (RpcException error)
        {
            Console.WriteLine($"{store}, answer in a stream: {error.StatusCode}, done: {done}");
        }
    }

    try
    {
        Console.WriteLine($"{store}, one answer: {(await copier.CopyAsync(new Order { Store = store })).Pieces} pieces");
    }
    catch (RpcException error)
    {
        Console.WriteLine($"{store}, one answer: {error.Status.StatusCode} ({error.Status.Detail.Split(" response message")[0]})");
    }
}
Console.WriteLine($"has enough, the end is expected: {(await copier.CopyAsync(new Order { Store = "has enough", ExpectsEnd = true })).Pieces} pieces");

public sealed class Place
{
    public string Url { get; set; } = "";
}

public sealed class StoreService : Store.StoreBase
{
    public override async Task<Taken> Take(IAsyncStreamReader<Piece> pieces, ServerCallContext context)
    {
        var count = 0;
        while (await pieces.MoveNext())
        {
            count++;
            if (count == 3 && pieces.Current.Store == "full")
                throw new RpcException(new Status(StatusCode.ResourceExhausted, "no room"));
            if (count == 3 && pieces.Current.Store == "has enough")
                break;
        }
        return new Taken { Pieces = count };
    }
}

public sealed class CopierService(GrpcChannel channel) : Copier.CopierBase
{
    readonly Store.StoreClient _store = new(channel);

    public override async Task<Taken> Copy(Order order, ServerCallContext context) =>
        new() { Pieces = await Push(_store, order.Store, _ => Task.CompletedTask, order.ExpectsEnd), Done = true };

    public override async Task CopyWithProgress(Order order, IServerStreamWriter<Taken> progress, ServerCallContext context)
    {
        var count = await Push(_store, order.Store, number => progress.WriteAsync(new Taken { Pieces = number }), order.ExpectsEnd);
        await progress.WriteAsync(new Taken { Pieces = count, Done = true });
    }

    public static async Task<int> Push(Store.StoreClient store, string name, Func<int, Task> report, bool expectsEnd)
    {
        using var call = store.Take();
        try
        {
            for (var number = 1; number <= 40; number++)
            {
                await call.RequestStream.WriteAsync(new Piece { Number = number, Store = name });
                await report(number);
                await Task.Delay(25);
            }
            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException end) when (expectsEnd && end.StatusCode == StatusCode.OK)
        {
            return (await call.ResponseAsync).Pieces;
        }
        return (await call.ResponseAsync).Pieces;
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'takes all, writer itself: 40 pieces
takes all, answer in a stream: OK, done: True
takes all, one answer: 40 pieces
full, writer itself: RpcException ResourceExhausted
full, answer in a stream: ResourceExhausted, done: False
full, one answer: ResourceExhausted (no room)
has enough, writer itself: RpcException OK
has enough, answer in a stream: OK, done: False
has enough, one answer: Internal (Failed to deserialize)
has enough, the end is expected: 3 pieces' ] || { echo "the behaviour has changed"; exit 1; }
echo "a method that was cut off still answers OK"
