#!/bin/bash
# @huggingface/transformers 4.3.2 (npm): of several prompts that are answered together, an answer that has ended goes on, and what the model writes after its end is part of
# the answer. Then nothing stops before max_new_tokens, for any of them.
#
# generate() and the text-generation pipeline take a list of prompts, or of chats. After each step the loop asks whether every sequence's newest token is a token that ends an
# answer. It does not remember which of them have ended. So unless all answers have exactly as many tokens, the shorter one is continued past its end: a next question of the
# user that nobody asked, an answer to it, the first answer in other words. The end's token itself is a special one and left out of the text, so nothing tells where the answer
# was over. And as there is hardly ever a step in which all of them end at once, each answer goes on to the limit, the longest one too.
# Why one would guess otherwise: one prompt alone is right, and so are several whose answers have the same length. The Python library of the same name, whose interface this is,
# fills an ended sequence up with the padding token and stops when the last one has ended. Neither the README nor the documentation of the pipeline says that a list is different.
# Right: each answer is the one that its prompt gets alone.
#
# The model is made by this script: a table that says which word follows which, as ONNX. After an answer's end it would write "and" for ever.
#
# Seen:
#   asked                     answers
#   short                     yes
#   long                      well it depends
#   short and quick           yes / no
#   short and long            yes and and and and and and / well it depends and and and and
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2 > /dev/null
cat > app.js <<'JS'
import fs from "fs";
import { env, pipeline } from "@huggingface/transformers";

const words = ["<pad>", "</s>", "<unk>", "short", "yes", "quick", "no", "long", "well", "it", "depends", "and"];
const next = { short: "yes", yes: "</s>", quick: "no", no: "</s>", long: "well", well: "it", it: "depends", depends: "</s>", "</s>": "and", and: "and" };
const size = words.length, table = new Float32Array(size * size);
for (const [word, follower] of Object.entries(next)) table[words.indexOf(word) * size + words.indexOf(follower)] = 10;

// As much of protocol buffers as an ONNX file with one node needs: the logits are the table's rows of the tokens.
const varint = (n) => Buffer.from(n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))]);
const number = (field, n) => Buffer.concat([varint(field * 8), varint(n)]);
const part = (field, ...content) => { const bytes = Buffer.concat(content.map((c) => Buffer.from(c))); return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]); };
const tensor = (name, type, ...shape) => [part(1, name), part(2, part(1, number(1, type), part(2, ...shape.map((d) => part(1, typeof d === "number" ? number(1, d) : part(2, d))))))];
const graph = [
  part(1, part(1, "table"), part(1, "input_ids"), part(2, "logits"), part(4, "Gather")),
  part(2, "words"),
  part(5, number(1, size), number(1, size), number(2, 1), part(8, "table"), part(9, Buffer.from(table.buffer))),
  part(11, ...tensor("input_ids", 7, "batch", "length")),
  part(12, ...tensor("logits", 1, "batch", "length", size)),
];
fs.mkdirSync("models/tiny/onnx", { recursive: true });
fs.writeFileSync("models/tiny/onnx/model.onnx", Buffer.concat([number(1, 8), part(7, ...graph), part(8, part(1, ""), number(2, 13))]));

const save = (name, content) => fs.writeFileSync(`models/tiny/${name}`, JSON.stringify(content));
save("config.json", {
  model_type: "llama", architectures: ["LlamaForCausalLM"], vocab_size: size, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1,
  eos_token_id: 1, pad_token_id: 0,
});
save("generation_config.json", { eos_token_id: 1, pad_token_id: 0 });
save("tokenizer_config.json", { tokenizer_class: "PreTrainedTokenizerFast", pad_token: "<pad>", eos_token: "</s>" });
save("tokenizer.json", {
  version: "1.0", normalizer: null, pre_tokenizer: { type: "Whitespace" }, post_processor: null, decoder: { type: "WordPiece", prefix: "##", cleanup: false },
  added_tokens: [0, 1].map((id) => ({ id, content: words[id], special: true, single_word: false, lstrip: false, rstrip: false, normalized: false })),
  model: { type: "WordPiece", unk_token: "<unk>", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: Object.fromEntries(words.map((w, i) => [w, i])) },
});

env.localModelPath = "models/";
env.allowRemoteModels = false;
const generator = await pipeline("text-generation", "tiny", { dtype: "fp32" });
for (const prompts of [["short"], ["long"], ["short", "quick"], ["short", "long"]]) {
  const answers = await generator(prompts, { max_new_tokens: 8, return_full_text: false });
  console.log(`${prompts.join(", ")}: ${answers.flat().map((a) => a.generated_text.trim()).join(" / ")}`);
}
process.exit(0);
JS
seen=$(timeout 120 node app.js 2> errors) || { cat errors; exit 1; }
[ "$seen" = "short: yes
long: well it depends
short, quick: yes / no
short, long: yes and and and and and and / well it depends and and and and" ] || { echo "@huggingface/transformers changed: $seen"; exit 1; }
echo "@huggingface/transformers still goes on with an answer that has ended, if another one of its batch has not"
