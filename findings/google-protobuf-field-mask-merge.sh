#!/bin/bash
# Google.Protobuf 3.36.2 (NuGet): FieldMask.Merge with ReplacePrimitiveFields writes 0 and "" where the source has no value, and of a oneof whose members the mask names, it
# keeps an empty one and drops the value.
#
# A field mask says which fields of a message an update is about, and Merge takes these over. Its option ReplacePrimitiveFields is documented: a field that is unset in the
# source is cleared from the destination. The option changes nothing for a field of a plain type. Each one that the mask names gets a value, and has it from then on: an
# optional temperature that nobody chose becomes a chosen 0, a seed that was to be taken away becomes the seed 0, and HasSeed says true. Of a oneof, the member that
# the mask names last wins, with its default value if it was not sent, and that removes the member that was. A oneof has no name of its own in a mask, so who lets
# the choice change names its members. No error.
# Why one would guess otherwise: the option's documentation says the opposite, and the package can tell: the same two messages give the right result with HasValue, Clear and
# SetValue of its own fields. ReplaceMessageFields and the wrapper types (FloatValue) do clear. Fields without "optional", where unset and 0 are the same, show nothing.
# That optional fields are not cleared is known (protocolbuffers/protobuf pull request 12748, open since 2023). Of the oneof that loses its value in C#, no mention was found.
#
# Right results: by hand, a field at a time. If the source has a value it is set, otherwise the field is cleared.
#
# Seen (mask, what is stored, what is sent, the result with ReplacePrimitiveFields):
#   mask                 stored               sent                 FieldMask.Merge                    by hand
#   temperature,seed     nothing              temperature 0.5      temperature 0.5, seed 0            temperature 0.5
#   temperature,seed     0.7 and 7            nothing              temperature 0, seed 0              nothing
#   tokens,stop          nothing              tokens 5             stop ""                            tokens 5
#   tokens,stop          stop "x"             tokens 5             stop ""                            tokens 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"

cat > settings.proto <<'PROTO'
syntax = "proto3";
option csharp_namespace = "Chat";

message Settings {
  optional float temperature = 1;
  optional int32 seed = 2;
  oneof end {
    int32 tokens = 3;
    string stop = 4;
  }
}
PROTO
cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Google.Protobuf" Version="[3.36.2]" />
    <PackageReference Include="Grpc.Tools" Version="[2.85.0]" PrivateAssets="all" />
    <Protobuf Include="settings.proto" GrpcServices="None" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using Chat;
using Google.Protobuf.WellKnownTypes;

Update("temperature,seed", new(), new() { Temperature = 0.5f });
Update("temperature,seed", new() { Temperature = 0.7f, Seed = 7 }, new());
Update("tokens,stop", new(), new() { Tokens = 5 });
Update("tokens,stop", new() { Stop = "x" }, new() { Tokens = 5 });

static void Update(string paths, Settings stored, Settings sent)
{
    var mask = FieldMask.FromString<Settings>(paths);
    var byHand = stored.Clone();
    mask.Merge(sent, stored, new FieldMask.MergeOptions { ReplacePrimitiveFields = true });
    foreach (var path in mask.Paths)
    {
        var field = Settings.Descriptor.FindFieldByName(path).Accessor;
        if (field.HasValue(sent)) field.SetValue(byHand, field.GetValue(sent));
        else field.Clear(byHand);
    }
    Console.WriteLine($"{paths}: {Text(stored)} by hand {Text(byHand)}");
}

static string Text(Settings settings) =>
    $"[{(settings.HasTemperature ? FormattableString.Invariant($"temperature {settings.Temperature} ") : "")}{(settings.HasSeed ? $"seed {settings.Seed} " : "")}" +
    $"{settings.EndCase switch { Settings.EndOneofCase.Tokens => $"tokens {settings.Tokens}", Settings.EndOneofCase.Stop => $"stop \"{settings.Stop}\"", _ => "" }}]";
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'temperature,seed: [temperature 0.5 seed 0 ] by hand [temperature 0.5 ]
temperature,seed: [temperature 0 seed 0 ] by hand []
tokens,stop: [stop ""] by hand [tokens 5]
tokens,stop: [stop ""] by hand [tokens 5]' ] || { echo "the behaviour has changed"; exit 1; }
echo "a merge by a field mask still sets what was not sent, and drops what was"
