#!/bin/bash
# Microsoft.ML.Tokenizers 2.0.1 (NuGet), LlamaTokenizer: a user-defined piece of the model is spelled letter by letter.
#
# In a SentencePiece model a piece of the type USER_DEFINED is always one token wherever the text has it: it is cut out of the
# text before anything is merged. LlamaTokenizer gives such a piece only if merges of other pieces lead to it.
# Why one would guess otherwise: the file says which pieces these are, the class takes the types BYTE and UNUSED from the same
# field into account, and short user-defined pieces (two characters that are pieces themselves) come out right, so that a
# first try looks well. Who needs the long ones has to find them in the file and pass them as special tokens once more.
#
# The model here is made by this script: BPE, byte fallback, no normalisation, user-defined pieces "<u>" and "::".
# Right ids: the C++ library itself, as npm's @sctg/sentencepiece-js 1.3.3 has it compiled to WebAssembly.
#
# Seen (▁ is the space that is put in front):
#   text    SentencePiece         LlamaTokenizer
#   a::b    ▁ a :: b              ▁ a :: b
#   a<u>b   ▁ a <u> b             ▁ a < u > b
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
pieces.push(["<u>", 0, 4], ["::", 0, 4]);
for (const letter of "▁abu<>:") pieces.push([letter, -9, 1]);
const trainer = bytes(2, [...number(3, 2), ...number(35, 1)]);
const normalizer = bytes(3, [...bytes(1, Buffer.from("identity")), ...number(3, 1), ...number(4, 0)]);
fs.writeFileSync("tokenizer.model", Buffer.from([...pieces.flatMap((p) => piece(...p)), ...trainer, ...normalizer]));

const processor = new SentencePieceProcessor();
await processor.load("tokenizer.model");
for (const text of ["a::b", "a<u>b"]) console.log(`[${text}] ${processor.encodePieces(text).join(" ")}`.trimEnd());
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
foreach (var text in (string[])["a::b", "a<u>b"])
    Console.WriteLine($"[{text}] {string.Join(' ', tokenizer.EncodeToTokens(text, out _).Select(token => token.Value))}".TrimEnd());
CS

right=$(node right.js)
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
[ "$right" = "[a::b] ▁ a :: b
[a<u>b] ▁ a <u> b" ] || { echo "SentencePiece gives: $right"; exit 1; }
[ "$seen" = "[a::b] ▁ a :: b
[a<u>b] ▁ a < u > b" ] || { echo "LlamaTokenizer changed: $seen"; exit 1; }
echo "LlamaTokenizer still spells the user-defined piece '<u>' as '< u >', which in SentencePiece is one token"
