#!/bin/bash
# @huggingface/tokenizers 0.2.0 (npm): an added token that may only stand for a whole word ("single_word": true in tokenizer.json) is also found within words.
#
# The package reads the tokenizer.json of models in JavaScript, without native code. Adapters and fine-tunes add words of their field as tokens and mark
# them so, because otherwise "word" is cut out of "words" and "sword", and the model sees pieces that it never saw in training. The Rust library, which
# the file belongs to, keeps to the mark. Here it is not read, so the ids of any text that has the letters within a longer word are others.
# Why one would guess otherwise: the field stands beside lstrip, rstrip, normalized and special, all of which the package honours, and it gives no warning.
#
# Seen, "word" being token 4 and letters having tokens of their own (w o r d s are 0 1 2 3 5):
#   text     tokenizers 0.23.2 (npm, the Rust library)    @huggingface/tokenizers 0.2.0
#   word     4                                            4
#   words    0 1 2 3 5                                    4 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

cat > tokenizer.json <<'JSON'
{
  "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
  "added_tokens": [{ "id": 4, "content": "word", "single_word": true, "lstrip": false, "rstrip": false, "normalized": false, "special": false }],
  "model": {
    "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
    "byte_fallback": false, "vocab": { "w": 0, "o": 1, "r": 2, "d": 3, "word": 4, "s": 5 }, "merges": []
  }
}
JSON
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0 tokenizers@0.23.2 > /dev/null
cat > encode.js <<'JS'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Tokenizer } from "@huggingface/tokenizers";

const native = createRequire(import.meta.url)("tokenizers").Tokenizer.fromFile("tokenizer.json");
const script = new Tokenizer(JSON.parse(readFileSync("tokenizer.json", "utf8")), {});
for (const text of ["word", "words"]) console.log(`${text}: ${(await native.encode(text, null)).getIds()} -> ${script.encode(text).ids}`);
JS

seen=$(node encode.js)
[ "$seen" = "word: 4 -> 4
words: 0,1,2,3,5 -> 4,5" ] || { echo "changed: $seen"; exit 1; }
echo "@huggingface/tokenizers still finds tokens of whole words within words"
