"""Random expressions over cases.VARIABLES, the same ones each time."""
import random

NAMES = ["yes", "no", "nothing", "zero", "three", "minus", "half", "empty", "text", "spaced", "emoji", "nums", "words", "mixed", "nested", "record", "people", "nope"]
LITERALS = ["0", "1", "-2", "7", "2.5", "1e3", "true", "none", "''", "'a'", "'Apple pie'", "'1'", "[]", "[1, 'b']", "(1, 2)", "{}", "{'a': 1}", "'ü😀'"]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
FILTERS = [
    "length", "upper", "lower", "title", "capitalize", "trim", "first", "last", "list", "string", "int", "float", "abs", "round", "sort", "reverse | list", "join('-')", "sum",
    "min", "max", "unique | list", "default('d')", "default('d', true)", "tojson", "tojson(indent=2)", "items | list", "map('string') | list", "select | list",
    "reject('none') | list", "map(attribute='name') | list", "selectattr('age') | list", "replace('a', 'b')", "indent", "dictsort", "batch(2) | list", "wordcount"]
TESTS = ["defined", "none", "string", "number", "mapping", "iterable", "sequence", "true", "odd", "even", "in [1, 'a']", "eq 3", "gt 1", "not none", "not defined", "boolean", "integer", "float"]
SUFFIXES = [
    "[0]", "[-1]", "[1:]", "[::-1]", "[:2]", ".name", "['b']", ".upper()", ".strip()", ".split()", ".split('a', 1)", ".items() | list", ".get('b')", ".startswith('H')", ".replace('l', '')",
    ".title()", ".find('o')", ".count('a')", ".keys() | list", ".isdigit()"]


def expression(rng, depth):
    kind = rng.random()
    if depth == 0 or kind < 0.1:
        return rng.choice(NAMES + LITERALS)
    inner = lambda: expression(rng, depth - 1)
    if kind < 0.4:
        return f"{inner()} {rng.choice(BINARY)} {inner()}"
    if kind < 0.6:
        return f"({inner()}) | {rng.choice(FILTERS)}"
    if kind < 0.7:
        return f"({inner()}) is {rng.choice(TESTS)}"
    if kind < 0.85:
        suffix = rng.choice(SUFFIXES)
        # Jinja2 slices what cannot be sliced without complaint if it is a literal, and only then.
        return f"{rng.choice(NAMES)}{suffix}" if ":" in suffix else f"({inner()}){suffix}"
    if kind < 0.9:
        return f"({inner()} if {inner()} else {inner()})"
    if kind < 0.95:
        return rng.choice(["not ", "-", "+"]) + f"({inner()})"
    return rng.choice(["[{}, {}]", "({}, {})", "{{'k': {}, 'l': {}}}"]).format(inner(), inner())


def generate(count):
    rng = random.Random(20260307)
    for _ in range(count):
        yield "{{ " + expression(rng, rng.choice([1, 2, 2, 3])) + " }}"
