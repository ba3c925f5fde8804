#!/bin/bash
# minijinja-js 2.11.0 (npm): objects lose the order of their keys, so the functions of a request are written into a prompt in another order than they were sent.
#
# MiniJinja is the engine that several servers written in Rust render chat templates with, and this package is its build for JavaScript. A JavaScript
# object keeps its keys in the order in which they were added, as a Python dict does, and so the chat templates that write `tool | tojson` give the
# model {"type": ..., "function": {"name": ..., "description": ..., "parameters": ...}}, the form it was trained on. Here all keys come out by alphabet,
# at every depth: {"function": ..., "type": ...}, and a loop over the properties of a function visits them so too. No option keeps the order, and a
# Map comes in empty. The characters < > & ' are escaped as well, which Jinja2's own filter does and transformers' does not. So the tokens of the prompt,
# and with them what the model does, are others than in training.
# Why one would guess otherwise: both languages keep the order, and so does every other engine for chat templates (Jinja2, @huggingface/jinja).
#
# Seen:
#   template                                                   @huggingface/jinja 0.5.11             minijinja-js 2.11.0
#   {{ tool | tojson }}                                        {"type": "function", "name": "look"}  {"name":"look","type":"function"}
#   {% for k in tool %}{{ k }} {% endfor %}                    type name                             name type
#   {{ "a < b" | tojson }}                                     "a < b"                               "a \u003c b"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @huggingface/jinja@0.5.11 minijinja-js@2.11.0 > /dev/null
cat > render.js <<'JS'
import { Template } from "@huggingface/jinja";
import { Environment } from "minijinja-js";

const data = { tool: { type: "function", name: "look" } };
const templates = ["{{ tool | tojson }}", "{% for k in tool %}{{ k }} {% endfor %}", '{{ "a < b" | tojson }}'];
for (const template of templates) console.log([new Template(template).render(data), new Environment().renderStr(template, data)].join(" -> "));
JS

seen=$(node render.js)
[ "$seen" = '{"type": "function", "name": "look"} -> {"name":"look","type":"function"}
type name  -> name type 
"a < b" -> "a \u003c b"' ] || { echo "changed: $seen"; exit 1; }
echo "minijinja-js still sorts the keys of objects"
