#!/bin/bash
# best-effort-json-parser 1.5.1 (npm): while JSON is not complete, a number with an exponent is cut at the e, and its rest swallows the comma, the next key or the next item.
#
# The package reads JSON that is still being streamed, such as a function's arguments or a structured answer, so that a page or a caller has its fields early.
# Small and large numbers have exponents there: Python's json writes 0.00002 as 2e-05, JavaScript's writes 0.0000001 as 1e-7, and models write both.
# Such a number is read up to the e. What follows it is taken for the next key, up to the next colon: the number is wrong by its whole power of ten, the next
# field is not there under its name, and its value is under a name nobody asked for. This lasts until the last brace arrives, for a number that was
# complete long before, and where an answer ends early (a token limit), it is what stays. No error.
# Why one would guess otherwise: best effort is for the end of the text. A number with a comma after it is whole, and whole JSON goes to JSON.parse,
# so the same text and one brace more is read right.
#
# Right results: npm's partial-json 0.1.7.
#
# Seen:
#   text                                     partial-json                        best-effort-json-parser
#   {"rate": 1e-7, "steps": 100, "x          {"rate":1e-7,"steps":100}           {"rate":1,"e-7, \"steps\"":100}
#   [2e-05, 3e-05, 4                         [0.00002,0.00003,4]                 [2,"e-05",3,"e-05",4]
#   {"rate": 0.5, "steps": 100, "x           {"rate":0.5,"steps":100}            {"rate":0.5,"steps":100}
#   {"rate": 1e-7, "steps": 100}             {"rate":1e-7,"steps":100}           {"rate":1e-7,"steps":100}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund best-effort-json-parser@1.5.1 partial-json@0.1.7 > /dev/null
cat > read.js <<'JS'
import { parse } from "best-effort-json-parser";
import { parse as right } from "partial-json";

const texts = [
  '{"rate": 1e-7, "steps": 100, "x', "[2e-05, 3e-05, 4", '{"rate": 0.5, "steps": 100, "x', '{"rate": 1e-7, "steps": 100}',
];
for (const text of texts) console.log(`${JSON.stringify(right(text))} | ${JSON.stringify(parse(text))}`);
JS

seen=$(node read.js 2> errors.txt)
echo "$seen"
[ ! -s errors.txt ] || { cat errors.txt; echo "it says something now"; exit 1; }
[ "$seen" = '{"rate":1e-7,"steps":100} | {"rate":1,"e-7, \"steps\"":100}
[0.00002,0.00003,4] | [2,"e-05",3,"e-05",4]
{"rate":0.5,"steps":100} | {"rate":0.5,"steps":100}
{"rate":1e-7,"steps":100} | {"rate":1e-7,"steps":100}' ] || { echo "the behaviour has changed"; exit 1; }
echo "best-effort-json-parser still cuts numbers at their exponents"
