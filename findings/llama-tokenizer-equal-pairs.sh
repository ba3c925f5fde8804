#!/bin/bash
# Microsoft.ML.Tokenizers 2.0.1 (NuGet), LlamaTokenizer: of two pairs that are equally good, the right one is merged first.
#
# SentencePiece merges the pair with the highest score, and of equal ones the leftmost. Equal ones are no corner case: wherever
# one character is repeated an odd number of times, the same piece can be made at two places that overlap.
# Why one would guess otherwise: the class says that it is implemented based on SentencePiece and reads its model files, and
# the order of equal pairs decides ids in any text with "..." or with three spaces in it.
#
# The model here is made by this script: BPE, byte fallback, no normalisation, with the pieces "aa" and two spaces.
# Right ids: the C++ library itself, as npm's @sctg/sentencepiece-js 1.3.3 has it compiled to WebAssembly.
#
# Seen (▁ is the space that is put in front):
#   text    SentencePiece         LlamaTokenizer
#   aaa     ▁ aa a                ▁ a aa
#   aaaa    ▁ aa aa               ▁ aa aa
#   x   x   ▁ x ▁▁ ▁ x            ▁ x ▁ ▁▁ x
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @sctg/sentencepiece-js@1.3.3 > /dev/null
cat > right.js <<'JS'
import fs from "fs";
import { SentencePieceProcessor } from "@sctg/sentencepiece-js";

const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
const bytes = (field, content) => [...varint((field << 3) | 2), ...varint(content.length), ...content];
const number = (field, value) => [...varint(field << 3), ...varint(value)];
const float = (field, value) => [...varint((field << 3) | 5), ...Buffer.from(Float32Array.of(value).buffer)];
const piece = (text, score, type) => bytes(1, [...bytes(1, Buffer.from(text)), ...float(2, score), ...number(3, type)]);

const hex = (i) => i.toString(16).toUpperCase().padStart(2, "0");
const pieces = [["<unk>", 0, 2], ["<s>", 0, 3], ["</s>", 0, 3]];
for (let i = 0; i < 256; i++) pieces.push([`<0x${hex(i)}>`, 0, 6]);
pieces.push(["aa", -1, 1], ["▁▁", -2, 1], ["▁", -3, 1], ["a", -4, 1], ["x", -5, 1]);
const trainer = bytes(2, [...number(3, 2), ...number(35, 1)]);
const normalizer = bytes(3, [...bytes(1, Buffer.from("identity")), ...number(3, 1), ...number(4, 0)]);
fs.writeFileSync("tokenizer.model", Buffer.from([...pieces.flatMap((p) => piece(...p)), ...trainer, ...normalizer]));

const processor = new SentencePieceProcessor();
await processor.load("tokenizer.model");
for (const text of ["aaa", "aaaa", "x   x"]) console.log(`${text}: ${processor.encodePieces(text).join(" ")}`);
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
  <ItemGroup><PackageReference Include="Microsoft.ML.Tokenizers" Version="[2.0.1]" /></ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using Microsoft.ML.Tokenizers;

using var model = File.OpenRead("tokenizer.model");
var tokenizer = LlamaTokenizer.Create(model, addBeginOfSentence: false, addEndOfSentence: false);
foreach (var text in (string[])["aaa", "aaaa", "x   x"])
    Console.WriteLine($"{text}: {string.Join(' ', tokenizer.EncodeToTokens(text, out _).Select(token => token.Value))}");
CS

right=$(node right.js)
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
[ "$right" = "aaa: ▁ aa a
aaaa: ▁ aa aa
x   x: ▁ x ▁▁ ▁ x" ] || { echo "SentencePiece gives: $right"; exit 1; }
[ "$seen" = "aaa: ▁ a aa
aaaa: ▁ aa aa
x   x: ▁ x ▁ ▁▁ x" ] || { echo "LlamaTokenizer changed: $seen"; exit 1; }
echo "LlamaTokenizer still merges the right one of two equal pairs: 'aaa' is 'a aa', in SentencePiece 'aa a'"
