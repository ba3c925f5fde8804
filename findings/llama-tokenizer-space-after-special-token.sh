#!/bin/bash
# Microsoft.ML.Tokenizers 2.0.1 (NuGet), LlamaTokenizer: which text gets the space in front depends on what stands before it, in
# a way that neither of the two forms of Llama's tokenizer.json has.
#
# Special tokens cut a text into segments. The older form of the file puts a space before every segment (the normalizer
# "Prepend"), the newer one only before a segment at the very start of the text (Metaspace, "prepend_scheme": "first").
# LlamaTokenizer puts it before the first segment that is not a special token, wherever that is, and before no other.
# Why one would guess otherwise: there are two known ways, and a test with one text cannot tell that this is a third: "<s>b"
# alone looks like the older form, "a<s>b" alone like the newer one. Chats begin with "<s>" and have "</s><s>" between turns, so
# that with either file the ids of one and the same prompt are right at its start and wrong later, or the other way round.
#
# The model here is made by this script: BPE, byte fallback, no normalisation; "<s>" is passed as a special token.
# Right ids: npm's tokenizers 0.23.2, Hugging Face's own library, on tokenizer.json files with the same pieces.
#
# Seen (▁ is the space that is put in front):
#   text    older form        newer form        LlamaTokenizer
#   a<s>b   ▁a <s> ▁b         ▁a <s> b          ▁a <s> b
#   <s>b    <s> ▁b            <s> b             <s> ▁b
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund tokenizers@0.23.2 > /dev/null
cat > right.js <<'JS'
const fs = require("fs");
const { Tokenizer } = require("tokenizers");

const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
const bytes = (field, content) => [...varint((field << 3) | 2), ...varint(content.length), ...content];
const number = (field, value) => [...varint(field << 3), ...varint(value)];
const float = (field, value) => [...varint((field << 3) | 5), ...Buffer.from(Float32Array.of(value).buffer)];
const piece = (text, score, type) => bytes(1, [...bytes(1, Buffer.from(text)), ...float(2, score), ...number(3, type)]);

const hex = (i) => i.toString(16).toUpperCase().padStart(2, "0");
const pieces = [["<unk>", 0, 2], ["<s>", 0, 3], ["</s>", 0, 3]];
for (let i = 0; i < 256; i++) pieces.push([`<0x${hex(i)}>`, 0, 6]);
pieces.push(["▁a", -1, 1], ["▁b", -2, 1], ["▁", -3, 1], ["a", -4, 1], ["b", -5, 1]);
const trainer = bytes(2, [...number(3, 2), ...number(35, 1)]);
const normalizer = bytes(3, [...bytes(1, Buffer.from("identity")), ...number(3, 1), ...number(4, 0)]);
fs.writeFileSync("tokenizer.model", Buffer.from([...pieces.flatMap((p) => piece(...p)), ...trainer, ...normalizer]));

const special = { special: true, normalized: false, lstrip: false, rstrip: false, single_word: false };
const shared = {
  version: "1.0",
  added_tokens: [{ id: 1, content: "<s>", ...special }],
  model: {
    type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true,
    vocab: Object.fromEntries(pieces.map(([text], id) => [text, id])), merges: [["▁", "a"], ["▁", "b"]],
  },
};
const older = { normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, { type: "Replace", pattern: { String: " " }, content: "▁" }] } };
const newer = { pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false } };
async function show(form) {
  fs.writeFileSync("tokenizer.json", JSON.stringify({ ...shared, ...form }));
  const tokenizer = Tokenizer.fromFile("tokenizer.json");
  for (const text of ["a<s>b", "<s>b"]) console.log(`${text}: ${(await tokenizer.encode(text)).getTokens().join(" ")}`);
}
show(older).then(() => show(newer));
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
var special = new Dictionary<string, int> { ["<s>"] = 1 };
var tokenizer = LlamaTokenizer.Create(model, addBeginOfSentence: false, addEndOfSentence: false, special);
foreach (var text in (string[])["a<s>b", "<s>b"])
    Console.WriteLine($"{text}: {string.Join(' ', tokenizer.EncodeToTokens(text, out _).Select(token => token.Value))}");
CS

right=$(node right.js)
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(dotnet out/app.dll)
[ "$right" = "a<s>b: ▁a <s> ▁b
<s>b: <s> ▁b
a<s>b: ▁a <s> b
<s>b: <s> b" ] || { echo "tokenizers, with the older form and the newer, gives: $right"; exit 1; }
[ "$seen" = "a<s>b: ▁a <s> b
<s>b: <s> ▁b" ] || { echo "LlamaTokenizer changed: $seen"; exit 1; }
echo "LlamaTokenizer still puts a space before 'b' in '<s>b' but not in 'a<s>b'; Hugging Face's files do both or neither"
