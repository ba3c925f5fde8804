#!/usr/bin/env python3
"""Records what Jinja2 renders, for tests/Model.Tests/Text/Templates: run it with Debian's python3-jinja2.

    record.py            writes prompts.json (every *.jinja with every conversation), cases.json and random.json beside this file
    record.py DIR OUT    writes the prompts of another folder of templates to the file OUT

The environment is the one of Hugging Face transformers: apply_chat_template is a rendering in Jinja2's immutable sandbox.
"""
import copy
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

import cases
import expressions

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2026, 3, 7, 5, 4, 9, 80)
BOS, EOS = "<s>", "</s>"


class Generation(jinja2.ext.Extension):
    """transformers' block around the assistant's words; here it renders its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


class Raised(Exception):
    pass


def raise_exception(message):
    raise Raised(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda format: NOW.strftime(format)


def render(source, variables):
    """{"output": text}, {"raised": message of raise_exception} or {"error": what Jinja2 or Python said}."""
    try:
        output = environment.from_string(source).render(**copy.deepcopy(variables))  # Jinja2's indent changes a list
        output.encode("utf-8")
        return {"output": output}
    except Raised as raised:
        return {"raised": str(raised)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def prompts(folder):
    conversations = json.loads((HERE / "conversations.json").read_text("utf-8"))
    for template in sorted(folder.glob("*.jinja")):
        source = template.read_text("utf-8")
        for conversation in conversations:
            variables = {
                "messages": conversation["messages"], "tools": conversation.get("tools"), "documents": None,
                "add_generation_prompt": conversation.get("add_generation_prompt", True), "bos_token": BOS, "eos_token": EOS}
            variables |= conversation.get("variables", {})
            yield {"template": template.name, "conversation": conversation["name"], **render(source, variables)}


def write(path, records):
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write(pathlib.Path(sys.argv[2]), prompts(pathlib.Path(sys.argv[1])))
    else:
        write(HERE / "prompts.json", prompts(HERE))
        write(HERE / "cases.json", ({"source": source, **render(source, cases.VARIABLES)} for source in cases.SOURCES))
        drawn = [{"source": source, **render(source, cases.VARIABLES)} for source in expressions.generate(2500)]
        failing = [record for record in drawn if "error" in record]
        write(HERE / "random.json", [record for record in drawn if "output" in record] + failing[::4])
        (HERE / "variables.json").write_text(json.dumps(cases.VARIABLES, indent=2, ensure_ascii=False) + "\n", "utf-8")
