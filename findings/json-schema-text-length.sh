#!/bin/bash
# JsonSchema.Net 8.0.5 (NuGet): minLength and maxLength count what a reader sees as characters, not Unicode code points.
#
# JSON Schema 2020-12 (validation, 6.3.1 and 6.3.2) counts characters as RFC 8259 defines them: code points. JsonSchema.Net counts
# grapheme clusters. A line end of carriage return and line feed is one of them, and so is a letter with its combining accent.
# Why one would guess otherwise: the traps that are known are UTF-8 bytes and UTF-16 units, and neither is in the way here, for
# a character beyond U+FFFF counts as one as it should. That plain ASCII text is measured short comes as a surprise.
#
# Right results: npm's ajv 8.17.1 in its form for 2020-12.
#
# Seen:
#   schema            instance              ajv        JsonSchema.Net
#   {"maxLength": 1}  "\r\n"                invalid    valid
#   {"minLength": 2}  "\r\n"                valid      invalid
#   {"minLength": 2}  "e\u0301" (an é)      valid      invalid
#   {"maxLength": 1}  "\ud83d\ude00"        valid      valid
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" npm_config_cache="$folder/npm" TMPDIR="$folder"

cat > cases.txt <<'TEXT'
{"maxLength": 1}	"\r\n"
{"minLength": 2}	"\r\n"
{"minLength": 2}	"e\u0301"
{"maxLength": 1}	"\ud83d\ude00"
TEXT
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund ajv@8.17.1 > /dev/null
cat > right.js <<'JS'
const Ajv = require("ajv/dist/2020");

for (const line of require("fs").readFileSync("cases.txt", "utf8").trimEnd().split("\n")) {
  const [schema, instance] = line.split("\t").map((text) => JSON.parse(text));
  console.log(new Ajv({ strict: false }).validate(schema, instance) ? "valid" : "invalid");
}
JS
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
  <ItemGroup><PackageReference Include="JsonSchema.Net" Version="[8.0.5]" /></ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Text.Json;
using Json.Schema;

foreach (var line in File.ReadLines("cases.txt"))
{
    var parts = line.Split('\t');
    using var instance = JsonDocument.Parse(parts[1]);
    Console.WriteLine(JsonSchema.FromText(parts[0]).Evaluate(instance.RootElement).IsValid ? "valid" : "invalid");
}
CS

right=$(node right.js)
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
[ "$right" = "invalid
valid
valid
valid" ] || { echo "ajv gives: $right"; exit 1; }
[ "$seen" = "valid
invalid
invalid
valid" ] || { echo "JsonSchema.Net changed: $seen"; exit 1; }
echo "JsonSchema.Net still counts a carriage return and a line feed as one character: maxLength 1 takes them, minLength 2 does not"
