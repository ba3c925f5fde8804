#!/bin/bash
# llama.cpp as node-llama-cpp 3.22.1 (npm) has it built (CPU): in a model of architecture deci (Nemotron), the attention of a layer without a feed-forward is lost.
#
# Such a model says for each layer how many heads it has and how wide its feed-forward is; either may be 0, independently. Where a layer has attention and
# no feed-forward, the published modelling code adds the attention to the stream and goes on. llama.cpp computes the attention and goes on with what came
# in: whatever the layer's attention weights are, the next token's probabilities are the same number for number.
# Why one would guess otherwise: the tensors are asked for, read and multiplied with, and a layer that lacks its attention instead is computed rightly.
# Nemotron Super 49B v1 and Ultra 253B v1 have no such layer; pruned models of one's own may.
#
# The models here are made by this script: 3 layers, 16 dimensions, random weights, F32. Two of them differ in nothing but the second layer's attention.
#
# Seen:
#   second layer          the two models' probabilities
#   feed-forward of 32    differ
#   no feed-forward       are the same
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder" NODE_LLAMA_CPP_SKIP_DOWNLOAD=true

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts node-llama-cpp@3.22.1 > /dev/null
cat > app.js <<'JS'
import fs from "fs";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const D = 16, HEADS = 2, KV = 1, E = 8, LAYERS = 3;
const tokens = ["<unk>", "<s>", "</s>", ...Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`), "▁", "a", "b", "c", "d"];

const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(n)); return b; };
const f32 = (n) => { const b = Buffer.alloc(4); b.writeFloatLE(n); return b; };
const text = (s) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);
const entry = (key, type, value) => Buffer.concat([text(key), u32(type), value]);
const array = (type, values) => Buffer.concat([u32(type), u64(values.length), ...values]);

// Numbers that look random and depend on a name and a seed only.
function weights(name, seed, count) {
  let state = seed >>> 0;
  for (const letter of name) state = Math.imul(state ^ letter.charCodeAt(0), 16777619) >>> 0;
  return Buffer.concat(Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return f32(state / 2 ** 32 - 0.5);
  }));
}

function write(path, middleFfn, attentionSeed) {
  const ffn = [32, middleFfn, 32];
  const entries = [
    entry("general.architecture", 8, text("deci")),
    ...[["block_count", LAYERS], ["context_length", 64], ["embedding_length", D], ["rope.dimension_count", E], ["attention.key_length", E],
      ["attention.value_length", E], ["vocab_size", tokens.length]].map(([key, n]) => entry(`deci.${key}`, 4, u32(n))),
    entry("deci.attention.head_count", 9, array(5, Array(LAYERS).fill(HEADS).map(u32))),
    entry("deci.attention.head_count_kv", 9, array(5, Array(LAYERS).fill(KV).map(u32))),
    entry("deci.feed_forward_length", 9, array(5, ffn.map(u32))),
    entry("deci.attention.layer_norm_rms_epsilon", 6, f32(1e-5)),
    entry("tokenizer.ggml.model", 8, text("llama")),
    entry("tokenizer.ggml.tokens", 9, array(8, tokens.map(text))),
    entry("tokenizer.ggml.scores", 9, array(6, tokens.map((_, i) => f32(-i)))),
    entry("tokenizer.ggml.token_type", 9, array(5, tokens.map((t, i) => u32(i === 0 ? 2 : i < 3 ? 3 : t.startsWith("<0x") ? 6 : 1)))),
    entry("tokenizer.ggml.bos_token_id", 4, u32(1)),
    entry("tokenizer.ggml.eos_token_id", 4, u32(2)),
  ];
  const tensors = [["token_embd.weight", [D, tokens.length]], ["output_norm.weight", [D]], ["output.weight", [D, tokens.length]]];
  for (let i = 0; i < LAYERS; i++) {
    const name = (part) => `blk.${i}.${part}.weight`;
    tensors.push([name("attn_norm"), [D]], [name("attn_q"), [D, HEADS * E]], [name("attn_k"), [D, KV * E]], [name("attn_v"), [D, KV * E]]);
    tensors.push([name("attn_output"), [HEADS * E, D]]);
    if (ffn[i] > 0) tensors.push([name("ffn_norm"), [D]], [name("ffn_gate"), [D, ffn[i]]], [name("ffn_up"), [D, ffn[i]]], [name("ffn_down"), [ffn[i], D]]);
  }
  let offset = 0;
  const infos = [], data = [];
  for (const [name, shape] of tensors) {
    infos.push(text(name), u32(shape.length), ...shape.map(u64), u32(0), u64(offset));
    const bytes = shape.length === 1
      ? Buffer.concat(Array.from({ length: D }, () => f32(1)))
      : weights(name, name.startsWith("blk.1.attn_") ? attentionSeed : 1, shape[0] * shape[1]);
    data.push(bytes);
    offset += bytes.length;   // whole units of 32 bytes, as the format wants it
  }
  const head = Buffer.concat([Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(entries.length), ...entries, ...infos]);
  fs.writeFileSync(path, Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32), ...data]));
}

const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
async function probabilities(path) {
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ contextSize: 64, threads: 1 });
  const prompt = [1, 260, 261, 262, 263];
  const result = await context.getSequence().controlledEvaluate([...prompt.slice(0, -1), [prompt.at(-1), { generateNext: { probabilities: true } }]]);
  const found = [...result.at(-1).next.probabilities].sort((a, b) => a[0] - b[0]);
  await context.dispose();
  await model.dispose();
  if (found.length !== tokens.length) throw new Error(`${found.length} probabilities`);
  return JSON.stringify(found);
}

for (const ffn of [32, 0]) {
  write("one.gguf", ffn, 2);
  write("other.gguf", ffn, 3);
  const same = (await probabilities("one.gguf")) === (await probabilities("other.gguf"));
  console.log(`feed-forward ${ffn}: ${same ? "the same" : "different"}`);
}
process.exit(0);
JS
seen=$(node app.js 2> errors) || { cat errors; exit 1; }
[ "$seen" = "feed-forward 32: different
feed-forward 0: the same" ] || { echo "llama.cpp changed: $seen"; exit 1; }
echo "llama.cpp still leaves out the attention of deci layers that have no feed-forward"
