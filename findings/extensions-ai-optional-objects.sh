#!/bin/bash
# Microsoft.Extensions.AI.Abstractions 10.11.0 and ModelContextProtocol.Core 2.4.0 (NuGet): if a function's parameter may be null, its schema says the same of every text, object and
# list within the parameter, also of those that C# says are never null.
#
# AIFunctionFactory makes the schema of a method's parameters, and heeds the question marks of nullable types. For Trip? it writes that null is allowed for Trip, and then for Trip's
# From, for From's City, and so on down, with "required" beside them. So making a parameter optional loosens all that is in it. A server that holds a model to the schema
# lets it write {"from": {"city": null}}, and a model that was not told the city may well. The serializer takes that by default, and the method has a null in a string that
# no compiler warned of: it fails far from here, or stores it. Where RespectNullableAnnotations is set, the schema is the same, and the call fails on what the schema allowed.
# The same is in the tools of an MCP server. Numbers and enums are as they should be. No warning.
# Why one would guess otherwise: Trip without the question mark is right down to the last text, and so is a property Trip? of another class. The result's schema is right for Trip?.
# A known report (dotnet/extensions 7215) is about the elements of one array; the documentation says nothing of it.
#
# Right result: City is {"type": "string"} whichever way Trip is given.
#
# Seen (the type of City in the schema):
#   (Trip trip)                                  string
#   (Trip? trip = null)                          string or null
#   (List<Trip>? trips = null)                   string or null
#   (Order order), Order has a Trip?             string
#   McpServerTool, (Trip trip)                   string
#   McpServerTool, (Trip? trip = null)           string or null
#   result Task<Trip?>                           string
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
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Extensions.AI.Abstractions" Version="[10.11.0]" />
    <PackageReference Include="ModelContextProtocol.Core" Version="[2.4.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Text.Json;
using Microsoft.Extensions.AI;
using ModelContextProtocol.Server;

string Need(Trip trip) => $"from a city of {trip.From.City.Length} letters";
string May(Trip? trip = null) => trip is null ? "nowhere" : $"from {(trip.From.City is null ? "a string that is null" : trip.From.City)}";
string Many(List<Trip>? trips = null) => $"{trips?.Count}";
string Within(Order order) => $"{order.Trip}";
Task<Trip?> Find() => Task.FromResult<Trip?>(null);

Show("Trip", AIFunctionFactory.Create(Need).JsonSchema);
Show("Trip?", AIFunctionFactory.Create(May).JsonSchema);
Show("List<Trip>?", AIFunctionFactory.Create(Many).JsonSchema);
Show("Order", AIFunctionFactory.Create(Within).JsonSchema);
Show("MCP, Trip", McpServerTool.Create(Need).ProtocolTool.InputSchema);
Show("MCP, Trip?", McpServerTool.Create(May).ProtocolTool.InputSchema);
Show("result Trip?", AIFunctionFactory.Create(Find).ReturnJsonSchema!.Value);

await Call("as it is", AIJsonUtilities.DefaultOptions);
await Call("RespectNullableAnnotations", new(AIJsonUtilities.DefaultOptions) { RespectNullableAnnotations = true });

// The first type that the schema gives to each of these names, however deep.
static void Show(string name, JsonElement schema) =>
    Console.WriteLine($"{name}: city {TypeOf(schema, "city")}, seats {TypeOf(schema, "seats")}, from {TypeOf(schema, "from")}");

static string? TypeOf(JsonElement node, string name) => node.ValueKind != JsonValueKind.Object ? null
    : node.TryGetProperty(name, out var found) ? found.GetProperty("type").ToString()
    : node.EnumerateObject().Select(member => TypeOf(member.Value, name)).FirstOrDefault(type => type is not null);

async Task Call(string name, JsonSerializerOptions options)
{
    var function = AIFunctionFactory.Create(May, serializerOptions: options);
    var arguments = JsonSerializer.Deserialize<Dictionary<string, object?>>("""{"trip": {"from": {"city": null}, "seats": 2}}""")!;
    string result;
    try { result = $"{await function.InvokeAsync(new(arguments))}"; }
    catch (JsonException) { result = "JsonException"; }
    Console.WriteLine($"{name}: city {TypeOf(function.JsonSchema, "city")}, call with null: {result}");
}

record Place(string City);
record Trip(Place From, int Seats);
record Order(string Name, Trip? Trip);
CS

timeout 300 dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'Trip: city string, seats integer, from object
Trip?: city ["string","null"], seats integer, from ["object","null"]
List<Trip>?: city ["string","null"], seats integer, from ["object","null"]
Order: city string, seats integer, from object
MCP, Trip: city string, seats integer, from object
MCP, Trip?: city ["string","null"], seats integer, from ["object","null"]
result Trip?: city string, seats integer, from object
as it is: city ["string","null"], call with null: from a string that is null
RespectNullableAnnotations: city ["string","null"], call with null: JsonException' ] || { echo "the behaviour has changed"; exit 1; }
echo "a parameter that may be null still makes all texts and objects within it ones that may be null"
