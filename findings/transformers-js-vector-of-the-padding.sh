#!/bin/bash
# @huggingface/transformers 4.3.2 (npm): the embedding of a text is that of the padding, if a longer text is embedded in the same call. So with pooling "last_token" (or "eos")
# where texts are padded on the right, which is the default, and with "cls" (or "first_token") where they are padded on the left.
#
# pipeline("feature-extraction") takes a list of texts, pads them to the longest one, runs the model once, and takes from each row one token's vector. With "last_token" this is the
# row's last position, whether the text ends there or padding does. Models that read from left to right, such as those made of Llama and Mistral, often have a text's vector at its
# last token. The class LlamaTokenizer pads on the left. Llama 3 has PreTrainedTokenizerFast instead, and that one pads on the right unless tokenizer_config.json says "left". So
# documents that are embedded in batches for a search have other vectors than the queries, which come one at a time. The search just gets worse. No error and no warning.
# Why one would guess otherwise: the attention mask, which says where each text ends, is at hand, and pooling "mean" goes by it. The option is described as the pooling method to
# use; that it depends on the side of the padding is not in its documentation. Sentence Transformers looks for the last token that the mask has.
# Right: the vector of a text is the same alone and in company, up to rounding.
#
# The model is made by this script: each word's vector is a row of a table, as ONNX. The first number tells the word: 1 is the padding, 2 "big", 3 "red", 4 "sky".
#
# Seen, for "sky" together with "big red sky":
#   pooling       padding_side    alone   in company
#   last_token    not said        4       1
#   last_token    right           4       1
#   last_token    left            4       4
#   cls           right           4       4
#   cls           left            4       1
#   mean          any             4       4
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

const words = ["<pad>", "big", "red", "sky"];
const table = Float32Array.from(words.flatMap((_, i) => [i + 1, 1]));

// As much of protocol buffers as an ONNX file with one node needs: the hidden states are the table's rows of the tokens.
const varint = (n) => Buffer.from(n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))]);
const number = (field, n) => Buffer.concat([varint(field * 8), varint(n)]);
const part = (field, ...content) => { const bytes = Buffer.concat(content.map((c) => Buffer.from(c))); return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]); };
const tensor = (name, type, ...shape) => [part(1, name), part(2, part(1, number(1, type), part(2, ...shape.map((d) => part(1, typeof d === "number" ? number(1, d) : part(2, d))))))];
const graph = [
  part(1, part(1, "table"), part(1, "input_ids"), part(2, "last_hidden_state"), part(4, "Gather")),
  part(2, "words"),
  part(5, number(1, words.length), number(1, 2), number(2, 1), part(8, "table"), part(9, Buffer.from(table.buffer))),
  part(11, ...tensor("input_ids", 7, "batch", "length")),
  part(12, ...tensor("last_hidden_state", 1, "batch", "length", 2)),
];

env.localModelPath = "models/";
env.allowRemoteModels = false;
for (const side of [undefined, "right", "left"]) {
  const name = side ?? "unsaid";
  fs.mkdirSync(`models/${name}/onnx`, { recursive: true });
  fs.writeFileSync(`models/${name}/onnx/model.onnx`, Buffer.concat([number(1, 8), part(7, ...graph), part(8, part(1, ""), number(2, 13))]));
  const save = (file, content) => fs.writeFileSync(`models/${name}/${file}`, JSON.stringify(content));
  save("config.json", {
    model_type: "llama", architectures: ["LlamaModel"], vocab_size: words.length, hidden_size: 2, num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1, pad_token_id: 0,
  });
  save("tokenizer_config.json", { tokenizer_class: "PreTrainedTokenizerFast", pad_token: "<pad>", padding_side: side });
  save("tokenizer.json", {
    version: "1.0", normalizer: null, pre_tokenizer: { type: "Whitespace" }, post_processor: null, decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    added_tokens: [{ id: 0, content: "<pad>", special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }],
    model: { type: "WordPiece", unk_token: "<pad>", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: Object.fromEntries(words.map((w, i) => [w, i])) },
  });
  const extractor = await pipeline("feature-extraction", name, { dtype: "fp32" });
  for (const pooling of ["last_token", "eos", "cls", "first_token", "mean"]) {
    const vectors = [];
    for (const texts of [["sky"], ["sky", "big red sky"]]) vectors.push((await extractor(texts, { pooling })).tolist()[0][0]);
    console.log(`${name} ${pooling}: ${vectors.join(" ")}`);
  }
}
process.exit(0);
JS
seen=$(timeout 120 node app.js 2> errors) || { cat errors; exit 1; }
[ "$seen" = "unsaid last_token: 4 1
unsaid eos: 4 1
unsaid cls: 4 4
unsaid first_token: 4 4
unsaid mean: 4 4
right last_token: 4 1
right eos: 4 1
right cls: 4 4
right first_token: 4 4
right mean: 4 4
left last_token: 4 4
left eos: 4 4
left cls: 4 1
left first_token: 4 1
left mean: 4 4" ] || { echo "@huggingface/transformers changed: $seen"; exit 1; }
[ ! -s errors ] || { echo "@huggingface/transformers now says something:"; cat errors; exit 1; }
echo "@huggingface/transformers still gives a text the vector of its padding, if the pooled token's end of the row is padded"
