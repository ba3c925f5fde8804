#!/bin/bash
# Microsoft.ML.Tokenizers 2.0.1 (NuGet), LlamaTokenizer: a text of one character has no tokens where extra spaces are removed.
#
# A model whose normalizer_spec.remove_extra_whitespaces is true drops spaces at both ends of the text and keeps the rest. Where
# one character is the rest, or the whole text, LlamaTokenizer drops that as well: "a" gives an empty list and decodes to "".
# A text of nothing but spaces, which has nothing to keep, gives the space that is put in front instead.
# Why one would guess otherwise: true is what the setting is where a model does not name it, longer texts are right, and an
# answer of one digit, or a chat's single Chinese character, is no unusual text.
#
# The model here is made by this script: BPE, byte fallback, no change of characters.
# Right ids: the C++ library itself, as npm's @sctg/sentencepiece-js 1.3.3 has it compiled to WebAssembly.
#
# Seen (texts in brackets; ▁ is the space that is put in front):
#   text    SentencePiece         LlamaTokenizer
#   [a]     ▁ a                   nothing
#   [a ]    ▁ a                   nothing
#   [日]    ▁ 日                  nothing
#   [ab ]   ▁ a b                 ▁ a b
#   [  ]    nothing               ▁
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
for (const letter of "▁ab日") pieces.push([letter, -9, 1]);
const trainer = bytes(2, [...number(3, 2), ...number(35, 1)]);
const normalizer = bytes(3, [...bytes(1, Buffer.from("identity")), ...number(3, 1), ...number(4, 1)]);
fs.writeFileSync("tokenizer.model", Buffer.from([...pieces.flatMap((p) => piece(...p)), ...trainer, ...normalizer]));

const processor = new SentencePieceProcessor();
await processor.load("tokenizer.model");
for (const text of ["a", "a ", "日", "ab ", "  "]) console.log(`[${text}] ${processor.encodePieces(text).join(" ")}`.trimEnd());
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
foreach (var text in (string[])["a", "a ", "日", "ab ", "  "])
    Console.WriteLine($"[{text}] {string.Join(' ', tokenizer.EncodeToTokens(text, out _).Select(token => token.Value))}".TrimEnd());
CS

right=$(node right.js)
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
[ "$right" = "[a] ▁ a
[a ] ▁ a
[日] ▁ 日
[ab ] ▁ a b
[  ]" ] || { echo "SentencePiece gives: $right"; exit 1; }
[ "$seen" = "[a]
[a ]
[日]
[ab ] ▁ a b
[  ] ▁" ] || { echo "LlamaTokenizer changed: $seen"; exit 1; }
echo "LlamaTokenizer still makes nothing of the text 'a' where extra spaces are removed; SentencePiece makes '▁ a' of it"
