#!/bin/bash
# @huggingface/jinja 0.5.11 (npm): strip, lstrip and rstrip take no notice of the characters they are given, and always take white space.
#
# The package renders chat templates of models in JavaScript, as transformers.js does. Templates of reasoning models cut an answer at its
# end-of-thinking tag and take away the line ends around it with .strip("\n"), .lstrip("\n") or .rstrip("\n"). In Jinja2, whose methods are
# Python's, spaces stay. Here they go, and characters other than white space stay, without an error. So code in an earlier answer loses the
# indentation of its first line, and the prompt is another one than the model's own template makes.
# Why one would guess otherwise: the methods take an argument, and the package's purpose is to give what Jinja2 gives.
#
# Seen:
#   template                                  Jinja2 3.1.6      @huggingface/jinja
#   {{ "\n\n  if x:".lstrip("\n") }}          "  if x:"         "if x:"
#   {{ "so \n".rstrip("\n") }}                "so "             "so"
#   {{ "**so**".strip("*") }}                 "so"              "**so**"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

cat > templates.txt <<'TEXT'
{{ "\n\n  if x:".lstrip("\n") }}
{{ "so \n".rstrip("\n") }}
{{ "**so**".strip("*") }}
TEXT
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @huggingface/jinja@0.5.11 > /dev/null
cat > render.js <<'JS'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

for (const line of readFileSync("templates.txt", "utf8").trimEnd().split("\n")) console.log(`[${new Template(line).render({})}]`);
JS

# Jinja2 itself, where this machine has it.
if python3 -c 'import jinja2' 2> /dev/null; then
  right=$(python3 -c 'import jinja2
for line in open("templates.txt"): print("[%s]" % jinja2.Template(line.rstrip("\n")).render())')
  [ "$right" = "[  if x:]
[so ]
[so]" ] || { echo "Jinja2 gives: $right"; exit 1; }
fi
seen=$(node render.js)
[ "$seen" = "[if x:]
[so]
[**so**]" ] || { echo "@huggingface/jinja changed: $seen"; exit 1; }
echo "@huggingface/jinja still strips white space, whatever characters strip, lstrip and rstrip are given"
