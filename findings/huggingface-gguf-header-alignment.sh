#!/bin/bash
# @huggingface/gguf 0.4.6 (npm): buildGgufHeader lays out a header for an alignment of 32 bytes, whatever general.alignment in the metadata that it writes says.
#
# The function makes a new header of a GGUF file from changed metadata, to be put before the file's own tensor data, so that a model's name or template can be
# changed without moving gigabytes. Where tensor data begins is not stored in GGUF: readers round the header's end up to general.alignment, 32 only where
# the file does not say. The header that comes back has the key, say 64, and ends at a multiple of 32. Every reader, the package's own gguf() among them,
# then looks for the weights behind where they are. At 64 bytes every second multiple of 32 happens to be right, so that it can pass a test.
# A caller can give the alignment as an option; its default is a constant.
# Why one would guess otherwise: the metadata is an argument of the same call, the same package's gguf() goes by the key, and the declaration promises a
# header that is complete and padded.
#
# Seen, a file of one tensor with the numbers 1 2 3 4, its name changed to one of 6 and of 37 letters, read back by the same package:
#   general.alignment   name of 6 letters          name of 37 letters
#   32                  1 2 3 4                    1 2 3 4
#   64                  1 2 3 4                    behind the file's end
#   4096                behind the file's end      behind the file's end
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @huggingface/gguf@0.4.6 > /dev/null

cat > rename.js <<'JS'
import { readFileSync, writeFileSync } from "node:fs";
import { buildGgufHeader, gguf } from "@huggingface/gguf";

const number = (value, bytes) => {
  const out = Buffer.alloc(bytes);
  if (bytes === 8) out.writeBigUInt64LE(BigInt(value)); else out.writeUInt32LE(value);
  return out;
};
const string = (text) => Buffer.concat([number(Buffer.byteLength(text), 8), Buffer.from(text)]);

// A whole GGUF file with one tensor of four F32 numbers.
function model(alignment) {
  const pairs = [
    ["general.architecture", number(8, 4), string("llama")], ["general.name", number(8, 4), string("before")],
    ["general.alignment", number(4, 4), number(alignment, 4)],
  ];
  const head = Buffer.concat([
    Buffer.from("GGUF"), number(3, 4), number(1, 8), number(pairs.length, 8), ...pairs.flatMap(([key, ...value]) => [string(key), ...value]),
    string("output_norm.weight"), number(1, 4), number(4, 8), number(0, 4), number(0, 8),
  ]);
  const padding = Buffer.alloc((alignment - (head.length % alignment)) % alignment);
  return Buffer.concat([head, padding, Buffer.from(new Float32Array([1, 2, 3, 4]).buffer)]);
}

async function weights(path) {
  const at = Number((await gguf(path, { allowLocalFile: true })).tensorDataOffset);
  const bytes = Uint8Array.from(readFileSync(path)).buffer;
  return at + 16 <= bytes.byteLength ? [...new Float32Array(bytes.slice(at, at + 16))].join(" ") : "behind the file's end";
}

for (const alignment of [32, 64, 4096]) {
  const seen = [];
  for (const name of ["after.", "a name that takes more room than that"]) {
    writeFileSync("model.gguf", model(alignment));
    if ((await weights("model.gguf")) !== "1 2 3 4") throw new Error("the file itself is wrong");
    const read = await gguf("model.gguf", { allowLocalFile: true, typedMetadata: true });
    read.typedMetadata["general.name"].value = name;
    const header = await buildGgufHeader(new Blob([readFileSync("model.gguf")]), read.typedMetadata, read);
    const data = readFileSync("model.gguf").subarray(Number(read.tensorDataOffset));
    writeFileSync("renamed.gguf", Buffer.concat([Buffer.from(await header.arrayBuffer()), data]));
    seen.push(await weights("renamed.gguf"));
  }
  console.log(`${alignment}: ${seen.join(" | ")}`);
}
JS

seen=$(node rename.js)
echo "$seen"
expected="32: 1 2 3 4 | 1 2 3 4
64: 1 2 3 4 | behind the file's end
4096: behind the file's end | behind the file's end"
if [ "$seen" != "$expected" ]; then
  echo "this has changed" >&2
  exit 1
fi
