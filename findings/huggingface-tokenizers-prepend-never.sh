#!/bin/bash
# @huggingface/tokenizers 0.2.0 (npm): its Metaspace decoder takes away a text's first space even where tokenizer.json says that no space was put there.
#
# Metaspace writes spaces as a sign of their own, and many files put one before every text; "prepend_scheme" says whether. A decoder takes that one away again, and with
# "never", which files of models have that were trained without that space, there is nothing to take away. The package's encoder goes by the field.
# Its decoder does not read it, and always takes the space. So the text that was encoded and the one that comes back differ, a continuation of a prompt
# sticks to the prompt's last word, and an answer that is decoded token by token has no spaces at all. No error and no warning.
# Why one would guess otherwise: encoder and decoder have the same field in the same file, the encoder of the same package honours it, and
# the Rust library, which the file belongs to, honours it in both. With "always" the two packages agree in everything below.
#
# Seen (the ids of both packages are the same in every row):
#   prepend_scheme   ids of                             tokenizers 0.23.2 (npm, the Rust library)    @huggingface/tokenizers 0.2.0
#   always           "see you soon"                     "see you soon"                               "see you soon"
#   always           " you"                             "you"                                        "you"
#   never            "see you soon"                     "see you soon"                               "see you soon"
#   never            " you"                             " you"                                       "you"
#   never            "see you soon", one by one         "see you soon"                               "seeyousoon"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0 tokenizers@0.23.2 > /dev/null
cat > decode.js <<'JS'
import { createRequire } from "node:module";
import { Tokenizer } from "@huggingface/tokenizers";

const { Tokenizer: Native } = createRequire(import.meta.url)("tokenizers");
const words = ["<unk>", "see", "▁see", "▁you", "▁soon"];

async function compare(prepend_scheme, text, oneByOne = false) {
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme, split: true };
  const file = {
    version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: metaspace, post_processor: null, decoder: metaspace,
    model: { type: "Unigram", unk_id: 0, byte_fallback: false, vocab: words.map((word) => [word, -1]) },
  };
  const native = Native.fromString(JSON.stringify(file));
  const script = new Tokenizer(file, {});
  const ids = (await native.encode(text, null)).getIds();
  if (String(ids) !== String(script.encode(text).ids)) throw new Error(`the ids of "${text}" differ`);

  let right = "", seen = "";
  for (const some of oneByOne ? ids.map((id) => [id]) : [ids]) {
    right += await native.decode(some, false);
    seen += script.decode(some);
  }
  console.log(`${prepend_scheme}: "${right}" | "${seen}"`);
}

await compare("always", "see you soon");
await compare("always", " you");
await compare("never", "see you soon");
await compare("never", " you");
await compare("never", "see you soon", true);
JS

seen=$(node decode.js)
echo "$seen"
[ "$seen" = 'always: "see you soon" | "see you soon"
always: "you" | "you"
never: "see you soon" | "see you soon"
never: " you" | "you"
never: "see you soon" | "seeyousoon"' ] || { echo "the behaviour has changed"; exit 1; }
echo "the Metaspace decoder of @huggingface/tokenizers still takes a space that was never put there"
