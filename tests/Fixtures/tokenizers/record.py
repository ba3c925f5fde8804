#!/usr/bin/env python3
"""Makes the tokenizers in this folder and records what the libraries they are for make of texts.json.

usage: record.py TOOLS
TOOLS is a folder in which `npm install tokenizers node-llama-cpp` was run: the Rust library of Hugging Face and llama.cpp.
Python's sentencepiece (Debian: python3-sentencepiece) trains the SentencePiece model and encodes with it.

sentencepiece/tokenizer.model   a small model of Llama 2's kind: BPE, byte fallback, no normalisation
llama2/tokenizer.json           the same, as the transformers library would convert it
texts.json                      what is encoded: {plain: [...], special: [...]}; special tokens are written in the latter
sentencepiece.json              ids of the plain texts
hugging-face.json               per variant: a base tokenizer.json, fields that are set in it, ids of all texts
llama-cpp.json                  per model: ids of the plain texts, and of the special ones with special tokens recognised
"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unicodedata

import sentencepiece

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.join(HERE, "..", "..", "..")
SPACE = "\u2581"
CONTROL = ["<|turn|>", "<|end|>"]
USER_DEFINED = ["<|user|>", "::"]

TRAINING = """
The quick brown fox jumps over the lazy dog. It's 12,345.67 degrees; they'll say "we've won", I'm sure he'd agree.
Größe, façade, naïve, coöperate, Ærøskøbing, Łódź, Dvořák, İstanbul: Straße und Käse sind schön.
Съешь же ещё этих мягких французских булок, да выпей чаю. Быстрая лиса прыгает через ленивую собаку.
Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.
素早い茶色の狐がのろまな犬を飛び越える。日本語の文章です。敏捷的棕色狐狸跳过懒狗。中文文本。
نص عربي قصير مع أرقام ١٢٣ وعلامات. טקסט קצר בעברית. देवनागरी में पाठ।
for (int i = 0; i < n; i++) {\n    sum += a[i] * b[i];\n\treturn sum;\n}\n\n
""" * 3

PLAIN = [
    "Hello, world!", " Hello", "  two  spaces  ", "", " ", "   ", "a", "\n", "\n\n\n", "\r\n\r\n", "\t\tx", " \n \n x", "x \n", "x  ", "x\u00a0\u00a0y", "\u3000\u3000z",
    "I'm you're he'd she'll we've it's don't", "I'M YOU'RE HE'D SHE'LL WE'VE IT'S DON'T", "'s's 'll'LL ''''", "'\u017fa 'x", "1 12 123 1234 12345 1234567890", "\u0663\u0664\u0665\u0666 \u00bd\u00b2 \u2167",
    "Gr\u00f6\u00dfe e\u0301 \u1e69\u0323", "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3002\u4e2d\u6587", "\u0646\u0635 \u0639\u0631\u0628\u064a", "\ud55c\uad6d\uc5b4", "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea", "\U00020000\U0001d400\U0001d7d8",
    "if (a[i] != b->c) { return x_y; } // ok", "#include <stdio.h>\n\nint main() {\n\treturn 0;\n}\n", "https://example.org/a?b=c&d=%20", "a" * 70, "ab" * 30, " " * 40 + "x", "." * 50, "\u00e9" * 20,
    "\x00\x01\x1c\x1d\x7f\x85", "\u200b\u200d\ufeff\u2028\u2029", "<0x41> <0x0A>", "trailing tab\t", "mixed\u2003em\u2009thin", "end.\r", "\r", "a\rb\nc\r\nd",
    "once upon a time there was a dog named Mina, who lived at the end of a long road.", "Fine tuning means training a finished model a little more on special examples.",
]

SPECIAL = [
    "<s>Hello</s>", "<s> Hello </s> world", "a<s>b", "</s></s>", "<unk>", "<|turn|>user\nHi<|end|>", " <|turn|> x <|turn|>y", "<|turn", "<|user|>Hi <|user|> there", "a::b ::c:::", "x<s", "<<s>>",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "  <|eot_id|>  x", "<|eot_id|><|eot_id|>'s", "a <strip> b  <strip>c", "word xword wordx word.", "word word", "12<|eot_id|>345",
]

TEXTUAL = {"special": False, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}


def random_texts(count):
    random.seed(20)
    categories = [chr(c) for c in range(0x20, 0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co") and chr(c) != SPACE]
    pools = [[chr(c) for c in range(0x20, 0x7F)], list(" \t\n\r\x0b\x0c\x85\xa0\u2003\u2028\u3000"), list("'sStTrReEvVlLmMdD 1234"), categories]
    return ["".join(random.choice(random.choices(pools, (5, 3, 3, 1))[0]) for _ in range(random.randint(1, 40))) for _ in range(count)]


def train(folder):
    with tempfile.TemporaryDirectory() as temp:
        corpus = os.path.join(temp, "corpus.txt")
        with open(corpus, "w", encoding="utf8") as file:
            file.write(open(os.path.join(REPOSITORY, "tests/Fixtures/demo-heldout.txt"), encoding="utf8").read() + TRAINING)
        sentencepiece.SentencePieceTrainer.train(
            input=corpus, model_prefix=os.path.join(temp, "tokenizer"), model_type="bpe", vocab_size=900, byte_fallback=True, character_coverage=0.995,
            normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
            control_symbols=CONTROL, user_defined_symbols=USER_DEFINED, num_threads=1, minloglevel=2)
        os.makedirs(folder, exist_ok=True)
        shutil.copy(os.path.join(temp, "tokenizer.model"), folder)
    return sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "tokenizer.model"))


def kind(model, id):
    if model.IsUnknown(id): return 2
    if model.IsControl(id): return 3
    if model.IsByte(id): return 6
    return 4 if model.IdToPiece(id) in USER_DEFINED else 1


def merges_of(model):
    """Every way to put a piece together of two others; best pieces first, as the transformers library orders them."""
    ids = {model.IdToPiece(id): id for id in range(len(model)) if kind(model, id) == 1}
    merges = []
    for piece, id in ids.items():
        splits = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        merges += [(-model.GetScore(id), ids[a], ids[b], a, b) for a, b in splits if a in ids and b in ids]
    return [[a, b] for *_, a, b in sorted(merges)]


def llama2_json(model):
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": id, "content": model.IdToPiece(id), **TEXTUAL, "special": kind(model, id) != 4} for id in range(len(model)) if kind(model, id) in (2, 3, 4)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False, "vocab": {model.IdToPiece(id): id for id in range(len(model))}, "merges": merges_of(model)},
    }


def variants(llama2, llama3):
    def metaspace(scheme, split): return {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split}}
    def added(base, *tokens): return {"added_tokens": base["added_tokens"] + [{**TEXTUAL, **token} for token in tokens]}
    llama3_tokens = added(llama3, {"id": 2048, "content": "<strip>", "lstrip": True, "rstrip": True}, {"id": 2049, "content": "word", "single_word": True},
                          {"id": 2050, "content": "::"}, {"id": 2051, "content": ":::"})
    old_merges = {"model.merges": [" ".join(pair) for pair in llama2["model"]["merges"]]}
    return [
        ("llama2", "llama2/tokenizer.json", {}),
        ("llama2, merges as strings, no prefix", "llama2/tokenizer.json", {**old_merges, "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}}),
        ("llama2, metaspace first", "llama2/tokenizer.json", metaspace("first", False)),
        ("llama2, metaspace always, split", "llama2/tokenizer.json", metaspace("always", True)),
        ("llama2, metaspace never, whole words", "llama2/tokenizer.json", {**metaspace("never", True), "model.ignore_merges": True}),
        ("llama3", "../../../models/demo/hf/tokenizer.json", {}),
        ("llama3, merges only, added tokens", "../../../models/demo/hf/tokenizer.json", {"model.ignore_merges": False, **llama3_tokens}),
    ]


def patched(base, patch):
    result = json.loads(json.dumps(base))
    for path, value in patch.items():
        *parents, name = path.split(".")
        target = result
        for parent in parents: target = target[parent]
        target[name] = value
    return result


def gguf(model, path):
    """The least file from which llama.cpp reads a vocabulary."""
    def text(value): return struct.pack("<Q", len(value.encode())) + value.encode()
    def array(type, items): return struct.pack("<IIQ", 9, type, len(items)) + b"".join(items)
    ids = range(len(model))
    shape = {"context_length": 8, "embedding_length": 8, "block_count": 1, "feed_forward_length": 8, "attention.head_count": 1, "rope.dimension_count": 8}
    pairs = {
        "general.architecture": struct.pack("<I", 8) + text("llama"),
        **{f"llama.{key}": struct.pack("<II", 4, value) for key, value in shape.items()},
        "llama.attention.layer_norm_rms_epsilon": struct.pack("<If", 6, 1e-5),
        "tokenizer.ggml.model": struct.pack("<I", 8) + text("llama"),
        "tokenizer.ggml.tokens": array(8, [text(model.IdToPiece(id)) for id in ids]),
        "tokenizer.ggml.scores": array(6, [struct.pack("<f", model.GetScore(id)) for id in ids]),
        "tokenizer.ggml.token_type": array(5, [struct.pack("<i", kind(model, id)) for id in ids]),
    }
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)))
        for key, value in pairs.items(): file.write(text(key) + value)


def run(tools, script, jobs):
    with tempfile.TemporaryDirectory() as temp:
        shutil.copy(os.path.join(HERE, script), tools)
        json.dump(jobs, open(os.path.join(temp, "jobs"), "w"))
        subprocess.run(["node", script, os.path.join(temp, "jobs"), os.path.join(temp, "results")], cwd=tools, check=True)
        return json.load(open(os.path.join(temp, "results")))


def write(name, value):
    """One item of the innermost lists a line."""
    def lines(value, depth):
        if isinstance(value, dict) and depth < 3: return "{" + ",\n".join(f"{json.dumps(k)}:{lines(v, depth + 1)}" for k, v in value.items()) + "}"
        if isinstance(value, list) and value and isinstance(value[0], (list, dict, str)): return "[\n" + ",\n".join(lines(v, depth + 1) for v in value) + "]"
        return json.dumps(value, separators=(",", ":"))
    with open(os.path.join(HERE, name), "w") as file: file.write(lines(value, 0) + "\n")


def main(tools):
    model = train(os.path.join(HERE, "sentencepiece"))
    llama2 = llama2_json(model)
    os.makedirs(os.path.join(HERE, "llama2"), exist_ok=True)
    with open(os.path.join(HERE, "llama2/tokenizer.json"), "w") as file: json.dump(llama2, file, separators=(",", ":"))
    llama3 = json.load(open(os.path.join(REPOSITORY, "models/demo/hf/tokenizer.json")))
    plain = PLAIN + random_texts(100)
    write("texts.json", {"plain": plain, "special": SPECIAL})
    write("sentencepiece.json", {"version": sentencepiece.__version__, "ids": [model.encode(text) for text in plain]})

    with tempfile.TemporaryDirectory() as temp:
        jobs, recorded = [], []
        for index, (name, base, patch) in enumerate(variants(llama2, llama3)):
            path = os.path.join(temp, f"{index}.json")
            json.dump(patched(llama2 if base.startswith("llama2") else llama3, patch), open(path, "w"))
            jobs.append({"tokenizer": path, "texts": plain + SPECIAL})
            recorded.append({"name": name, "base": base, "patch": patch})
        for one, result in zip(recorded, run(tools, "record_hf.mjs", jobs)): one.update(result)
        write("hugging-face.json", recorded)

        gguf(model, os.path.join(temp, "model.gguf"))
        models = [("sentencepiece", os.path.join(temp, "model.gguf")), ("demo", os.path.join(REPOSITORY, "models/demo/llamacluster-demo-5m-q8_0.gguf"))]
        jobs = [{"model": os.path.abspath(path), "special": special, "texts": SPECIAL if special else plain} for _, path in models for special in (False, True)]
        results = run(tools, "record_llamacpp.mjs", jobs)
        write("llama-cpp.json", {name: {"plain": results[2 * i]["ids"], "special": results[2 * i + 1]["ids"]} for i, (name, _) in enumerate(models)})


main(sys.argv[1])
