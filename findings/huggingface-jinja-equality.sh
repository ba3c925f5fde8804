#!/bin/bash
# @huggingface/jinja 0.5.11 (npm): == and != compare lists and mappings by identity, and values of different kinds as JavaScript's loose ==.
#
# Chat templates ask whether there are tools by {% if tools == [] %} or {% if tools != [] %}. In Jinja2 two empty lists are equal, as in
# Python. Here a list is equal to nothing but itself, so tools != [] holds for an empty list, and the prompt gets a section of tools that
# lists none. The other way round, "" == 0, "1" == 1 and "0" == false hold here and in Jinja2 do not: a message whose content is the number
# 0 takes the branch for one that is empty.
# Why one would guess otherwise: 1 == 1.0, text and null compare as in Jinja2, nothing is reported, and the package exists to give the same.
#
# Seen:
#   template                     Jinja2 3.1.6    @huggingface/jinja
#   {{ [] == [] }}               True            false
#   {{ tools != [] }} of []      False           true
#   {{ {"a": 1} == {"a": 1} }}   True            false
#   {{ "" == 0 }}                False           true
#   {{ "1" == 1 }}               False           true
#   {{ "0" == false }}           False           true
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

cat > templates.txt <<'TEXT'
{{ [] == [] }}
{{ tools != [] }}
{{ {"a": 1} == {"a": 1} }}
{{ "" == 0 }}
{{ "1" == 1 }}
{{ "0" == false }}
TEXT
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @huggingface/jinja@0.5.11 > /dev/null
cat > render.js <<'JS'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

const lines = readFileSync("templates.txt", "utf8").trimEnd().split("\n");
console.log(lines.map((line) => new Template(line).render({ tools: [] })).join(" "));
JS

# Jinja2 itself, where this machine has it.
if python3 -c 'import jinja2' 2> /dev/null; then
  right=$(python3 -c 'import jinja2
print(*(jinja2.Template(line.rstrip("\n")).render(tools=[]) for line in open("templates.txt")))')
  [ "$right" = "True False True False False False" ] || { echo "Jinja2 gives: $right"; exit 1; }
fi
seen=$(node render.js)
[ "$seen" = "false true false true true true" ] || { echo "@huggingface/jinja changed: $seen"; exit 1; }
echo "@huggingface/jinja still finds that [] is not [], and that the text 1 is the number 1"
