#!/bin/bash
# minijinja-js 2.11.0 (npm): a variable that is set within a loop still has its value in the loop's next round, so one message's words get into another's.
#
# In Jinja2 each round of a loop begins with what was set before the loop. Chat templates rely on it: they walk the messages, set a variable for what a
# message has (its text, its reasoning, its first call), under a condition, and write it. A message without it, such as an assistant's that only calls a
# function, then writes nothing. Here it writes that of the message before, without an error: the prompt has the user's words in the assistant's mouth.
# After the loop the variable is what it was before the loop, as in Jinja2, which makes it harder to see.
# Why one would guess otherwise: the engine is made for Jinja2's templates, and a loop has a scope here too: after it the variable is what it was before.
#
# Seen:
#   template                                                                   Jinja2 3.1.6, @huggingface/jinja 0.5.11    minijinja-js 2.11.0
#   {% for m in messages %}{% if m.text %}{% set text = m.text %}{% endif %}
#     [{{ m.role }}: {{ text }}]{% endfor %}                                   [user: Hi][assistant: ]                    [user: Hi][assistant: Hi]
#   {% set n = 0 %}{% for m in messages %}{% set n = n + 1 %}{{ n }}
#     {% endfor %}{{ n }}                                                      110                                        120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

cat > templates.txt <<'TEXT'
{% for m in messages %}{% if m.text %}{% set text = m.text %}{% endif %}[{{ m.role }}: {{ text }}]{% endfor %}
{% set n = 0 %}{% for m in messages %}{% set n = n + 1 %}{{ n }}{% endfor %}{{ n }}
TEXT
echo '{"messages": [{"role": "user", "text": "Hi"}, {"role": "assistant"}]}' > data.json
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund minijinja-js@2.11.0 > /dev/null
cat > render.js <<'JS'
import { readFileSync } from "node:fs";
import { Environment } from "minijinja-js";

const data = JSON.parse(readFileSync("data.json", "utf8"));
for (const template of readFileSync("templates.txt", "utf8").trimEnd().split("\n")) console.log(new Environment().renderStr(template, data));
JS

# Jinja2 itself, where this machine has it.
if python3 -c 'import jinja2' 2> /dev/null; then
  right=$(python3 -c 'import jinja2, json
for line in open("templates.txt"): print(jinja2.Template(line.rstrip("\n")).render(json.load(open("data.json"))))')
  [ "$right" = "[user: Hi][assistant: ]
110" ] || { echo "Jinja2 gives: $right"; exit 1; }
fi
seen=$(node render.js)
[ "$seen" = "[user: Hi][assistant: Hi]
120" ] || { echo "minijinja-js changed: $seen"; exit 1; }
echo "in minijinja-js what is set in one round of a loop is still set in the next"
