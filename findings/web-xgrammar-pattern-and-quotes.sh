#!/bin/bash
# @mlc-ai/web-xgrammar 0.1.27 (npm): where a JSON schema has a string with a pattern, the grammar made of it lets a model write what is no JSON, and of a pattern with a
# backslash it makes the model write another value.
#
# The package is XGrammar for JavaScript. WebLLM 0.2.86 is built with it, for answers that must follow a JSON schema: tokens that would break the grammar cannot be chosen. A schema's
# pattern is about a string's value, and in JSON a quote, a backslash and a line end are written with a backslash before them. Here the pattern is put between two quotes as
# it stands. So "no comma", [^,]+, takes a bare quote and a bare line end, and the answer cannot be parsed. For a path such as C:\new the pattern wants one backslash,
# where JSON needs two. The right text cannot be written, and the one that can, "C:\new", parses without an error as C: and a line end and ew.
# No error and no warning.
# Why one would guess otherwise: a grammar is there so that the answer can be parsed in any case, and a string without a pattern is escaped as it has to be. Patterns
# of letters, digits and dashes are right.
#
# Right result: a text is taken just where JSON.parse takes it and the value that it gives matches the pattern.
#
# Seen (pattern, the answer's text, whether it is right, whether the grammar takes it):
#   none             {"v": "say \"hi\""}     right   yes
#   none             {"v": "say "hi""}       wrong   no
#   none             a bare line end         wrong   no
#   ^[^,]+$          {"v": "say \"hi\""}     right   yes
#   ^[^,]+$          {"v": "say "hi""}       wrong   yes
#   ^[^,]+$          a bare line end         wrong   yes
#   ^C:\\[a-z]+$     {"v": "C:\\new"}        right   no
#   ^C:\\[a-z]+$     {"v": "C:\new"}         wrong   yes
#   ^[A-Z]{2}-\d+$   {"v": "AB-12"}          right   yes
#   ^[A-Z]{2}-\d+$   {"v": "ab-12"}          wrong   no
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund @mlc-ai/web-xgrammar@0.1.27 > /dev/null
# It is made for bundlers. Under this name Node takes it for what it is, a module of the older kind.
cp node_modules/@mlc-ai/web-xgrammar/lib/index.js xgrammar.cjs
cat > answers.cjs <<'JS'
const { Grammar, Testings } = require("./xgrammar.cjs");

const quotes = [String.raw`{"v": "say \"hi\""}`, `{"v": "say "hi""}`, `{"v": "two\nlines"}`];
const cases = [
  [undefined, quotes],
  ["^[^,]+$", quotes],
  [String.raw`^C:\\[a-z]+$`, [String.raw`{"v": "C:\\new"}`, String.raw`{"v": "C:\new"}`]],
  [String.raw`^[A-Z]{2}-\d+$`, [`{"v": "AB-12"}`, `{"v": "ab-12"}`]],
];

function isRight(text, pattern) {
  try {
    return new RegExp(pattern ?? "", "u").test(JSON.parse(text).v);
  } catch {
    return false;
  }
}

(async () => {
  for (const [pattern, answers] of cases) {
    const schema = { type: "object", properties: { v: { type: "string", pattern } }, required: ["v"] };
    const grammar = await Grammar.fromJSONSchema(JSON.stringify(schema));
    for (const answer of answers) {
      const taken = await Testings.isGrammarAcceptString(grammar, answer);
      console.log(`${pattern ?? "none"} | ${answer.replace("\n", "<line end>")} | ${isRight(answer, pattern) ? "right" : "wrong"} | ${taken ? "taken" : "refused"}`);
    }
    grammar.dispose();
  }
})();
JS

seen=$(timeout 60 node answers.cjs)
echo "$seen"
[ "$seen" = 'none | {"v": "say \"hi\""} | right | taken
none | {"v": "say "hi""} | wrong | refused
none | {"v": "two<line end>lines"} | wrong | refused
^[^,]+$ | {"v": "say \"hi\""} | right | taken
^[^,]+$ | {"v": "say "hi""} | wrong | taken
^[^,]+$ | {"v": "two<line end>lines"} | wrong | taken
^C:\\[a-z]+$ | {"v": "C:\\new"} | right | refused
^C:\\[a-z]+$ | {"v": "C:\new"} | wrong | taken
^[A-Z]{2}-\d+$ | {"v": "AB-12"} | right | taken
^[A-Z]{2}-\d+$ | {"v": "ab-12"} | wrong | refused' ] || { echo "the behaviour has changed"; exit 1; }
echo "a pattern still lets quotes and line ends into JSON as they are"
