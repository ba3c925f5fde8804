#!/bin/bash
# @huggingface/gguf 0.4.6 (npm): gguf-view counts a KV cache for layers that have no attention, or says "NaN GB".
#
# gguf-view reads a GGUF file's header and says how much memory the model takes, with the KV cache of a given context. Models whose layers differ
# (Nemotron, whose search left attention out of some layers; hybrids that mix attention with convolution or state space) say so in the file by an array,
# attention.head_count_kv, with 0 for a layer without attention: such a layer keeps no keys and values. The package takes a 0 as if no number were
# given, and puts attention.head_count in its place, the number of all heads. So such a layer counts for more than one with attention. Where
# head_count is an array too, as in files of Nemotron (architecture deci), it becomes no number at all, and with it the total.
# Why one would guess otherwise: the array is read layer by layer, for just these models.
#
# Seen, at 4,096 tokens, keys alone in F16 (a layer with 2 heads of 64 dimensions has 1 MiB of them):
#   8 layers, heads of keys and values                           should be     gguf-view
#   2 2 2 2 2 2 2 2, of 32 heads (all with attention)            0.01 GB       0.01 GB
#   0 0 0 2 0 0 0 2, of 32 heads                                 0.00 GB       0.10 GB
#   0 0 0 2 0 0 0 2, of 0 0 0 32 0 0 0 32 heads (as deci)        0.00 GB       NaN GB
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @huggingface/gguf@0.4.6 > /dev/null

cat > write.js <<'JS'
import { writeFileSync } from "node:fs";

const number = (value, bytes) => {
  const out = Buffer.alloc(bytes);
  if (bytes === 8) out.writeBigUInt64LE(BigInt(value)); else out.writeUInt32LE(value);
  return out;
};
const string = (text) => Buffer.concat([number(Buffer.byteLength(text), 8), Buffer.from(text)]);
const value = (it) =>
  typeof it === "string" ? [number(8, 4), string(it)]
  : Array.isArray(it) ? [number(9, 4), number(5, 4), number(it.length, 8), ...it.map((one) => number(one, 4))]
  : [number(4, 4), number(it, 4)];

// A header without tensors is a whole GGUF file.
function write(name, architecture, heads, keyHeads) {
  const metadata = {
    "general.architecture": architecture,
    [`${architecture}.block_count`]: 8,
    [`${architecture}.embedding_length`]: 2048,
    [`${architecture}.attention.key_length`]: 64,
    [`${architecture}.attention.value_length`]: 64,
    [`${architecture}.attention.head_count`]: heads,
    [`${architecture}.attention.head_count_kv`]: keyHeads,
  };
  const entries = Object.entries(metadata).flatMap(([key, it]) => [string(key), ...value(it)]);
  const body = Buffer.concat([Buffer.from("GGUF"), number(3, 4), number(0, 8), number(Object.keys(metadata).length, 8), ...entries]);
  writeFileSync(name, Buffer.concat([body, Buffer.alloc(64)]));
}
write("all.gguf", "lfm2", 32, [2, 2, 2, 2, 2, 2, 2, 2]);
write("some.gguf", "lfm2", 32, [0, 0, 0, 2, 0, 0, 0, 2]);
write("deci.gguf", "deci", [0, 0, 0, 32, 0, 0, 0, 32], [0, 0, 0, 2, 0, 0, 0, 2]);
JS
node write.js

keys() { npx --no-install gguf-view "./$1.gguf" | sed -n 's/.*K cache[^0-9N]*\([0-9.]*\|NaN\) GB.*/\1/p'; }
seen="$(keys all) $(keys some) $(keys deci)"
echo "keys, in GB: all with attention, two of eight, the same as deci: $seen"
[ "$seen" = "0.01 0.10 NaN" ] || { echo "this has changed"; exit 1; }
