#!/usr/bin/env python3
"""Text that a schema forces beside free text of as many tokens, on a pipeline of two workers of one thread each.

    python3 benchmarks/ForcedText/forced_text.py PROGRAM [ROUNDS]

PROGRAM is the llamacluster executable. The model has the demo model's words and the size of one of 1.1 billion parameters: the demo model's weights, with
zeros around them, so that it writes what the demo model writes and each token costs what a token of such a model costs. Both texts are drawn by chance with
the same seeds, in turns. Prints the ratio of their speeds, and how many of the forced text's tokens were drafted and right."""
import json, math, os, re, signal, statistics, struct, subprocess, sys, tempfile, time, urllib.request

HIDDEN, FFN, HEADS, KV_HEADS, LAYERS = 2048, 8192, 64, 32, 16
DEMO = os.path.join(os.path.dirname(__file__), "..", "..", "models", "demo", "llamacluster-demo-5m-q8_0.gguf")
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
BLOCK = 34   # bytes of 32 numbers in Q8_0

SCHEMA = {
    "type": "object",
    "properties": {
        "kind_of_the_message": {"const": "a message of the coordinator to its workers"},
        "size_in_blocks": {"type": "integer", "minimum": 1, "maximum": 64},
        "what_it_is_about": {"type": "string", "minLength": 20, "maxLength": 40},
        "where_it_goes": {"enum": ["to the coordinator", "to the last stage of the pipeline"]},
        "what_comes_next": {"const": "the next step of the pipeline"},
    },
}
SCHEMA["required"] = list(SCHEMA["properties"])
EXAMPLE = {"kind_of_the_message": "a message of the coordinator to its workers", "size_in_blocks": 12, "what_it_is_about": "the blocks of a sequence",
           "where_it_goes": "to the coordinator", "what_comes_next": "the next step of the pipeline"}


def read_demo():
    """Keys as they are stored, and tensors by name: shape and bytes."""
    data = open(DEMO, "rb").read()
    at = 24
    tensors, keys = struct.unpack_from("<QQ", data, 8)

    def text():
        nonlocal at
        length, = struct.unpack_from("<Q", data, at)
        at += 8 + length
        return data[at - length:at].decode()

    def skip(kind):
        nonlocal at
        if kind == 8:
            text()
        elif kind == 9:
            of, count = struct.unpack_from("<IQ", data, at)
            at += 12
            for _ in range(count):
                skip(of)
        else:
            at += SIZES[kind]

    stored = {}
    for _ in range(keys):
        begin, key = at, text()
        kind, = struct.unpack_from("<I", data, at)
        at += 4
        skip(kind)
        stored[key] = data[begin:at]
    found = {}
    for _ in range(tensors):
        name = text()
        count, = struct.unpack_from("<I", data, at)
        shape = struct.unpack_from(f"<{count}Q", data, at + 4)
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * count)
        at += 16 + 8 * count
        found[name] = shape, kind, offset
    start = -(-at // 32) * 32
    return stored, {name: (shape, kind, data[start + offset:]) for name, (shape, kind, offset) in found.items()}


def write_wide(path):
    stored, tensors = read_demo()
    number = lambda key, kind, form, value: struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I" + form, kind, value)
    for key, value in (("block_count", LAYERS), ("embedding_length", HIDDEN), ("feed_forward_length", FFN), ("attention.head_count", HEADS), ("attention.head_count_kv", KV_HEADS)):
        stored["llama." + key] = number("llama." + key, 4, "I", value)
    narrow = tensors["output_norm.weight"][0][0]
    key = "llama.attention.layer_norm_rms_epsilon"
    epsilon, = struct.unpack("<f", stored[key][-4:])
    stored[key] = number(key, 6, "f", epsilon * narrow / HIDDEN)   # of a mean over more numbers
    widths = {"attn_q": (HIDDEN, HIDDEN), "attn_k": (HIDDEN, 32 * KV_HEADS), "attn_v": (HIDDEN, 32 * KV_HEADS), "attn_output": (HIDDEN, HIDDEN),
              "ffn_gate": (HIDDEN, FFN), "ffn_up": (HIDDEN, FFN), "ffn_down": (FFN, HIDDEN)}
    names = [name for name in tensors if not name.startswith("blk.")] + [f"blk.{i}.{part}.weight" for i in range(LAYERS) for part in (*widths, "attn_norm", "ffn_norm")]
    head, offset, plan = b"", 0, []
    for name in names:
        part = name.split(".")[-2]
        shape = (HIDDEN, tensors[name][0][1]) if part == "token_embd" else widths.get(part, (HIDDEN,))
        kind = 0 if len(shape) == 1 else 8
        size = 4 * HIDDEN if kind == 0 else shape[0] // 32 * BLOCK * shape[1]
        head += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)
        plan.append((name, shape, kind, offset))
        offset += -(-size // 32) * 32
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(names), len(stored)) + b"".join(stored.values()) + head)
        start = -(-file.tell() // 32) * 32
        file.truncate(start + offset)   # the zeros are holes
        for name, shape, kind, place in plan:
            if name not in tensors:
                continue
            of, _, data = tensors[name]
            if kind == 0:
                scale = math.sqrt(narrow / HIDDEN)
                file.seek(start + place)
                file.write(struct.pack(f"<{of[0]}f", *(scale * x for x in struct.unpack_from(f"<{of[0]}f", data))))
                continue
            row, wide = of[0] // 32 * BLOCK, shape[0] // 32 * BLOCK
            for i in range(of[1]):
                file.seek(start + place + i * wide)
                file.write(data[i * row:(i + 1) * row])


def post(address, path, body):
    request = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.load(response)


def drafts(address):
    with urllib.request.urlopen(address + "/metrics", timeout=60) as response:
        text = response.read().decode()
    return [sum(float(x) for x in re.findall(rf"^llamacluster_speculation_{name}_total\S* (\S+)", text, re.M)) for name in ("drafted", "accepted")]


def timed(address, body):
    """Tokens, and seconds from the first piece of text to the end."""
    request = urllib.request.Request(address + "/v1/completions", json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode(), {"Content-Type": "application/json"})
    first, tokens = None, 0
    with urllib.request.urlopen(request, timeout=600) as response:
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if first is None and event["choices"] and event["choices"][0]["text"]:
                first = time.perf_counter()
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    return tokens, time.perf_counter() - first


def measure(address, rounds):
    white = [i for i in range(2043) if post(address, "/detokenize", {"tokens": [i]})["prompt"].strip() == ""]
    base = {"prompt": f"{json.dumps(EXAMPLE)}\n", "temperature": 0.2, "logit_bias": {str(i): -100 for i in white}}   # the small model likes white space too much
    ratios, shares = [], []
    for seed in range(rounds + 1):
        before = drafts(address)
        tokens, forced = timed(address, {**base, "seed": seed, "max_tokens": 250, "guided_json": SCHEMA})
        after = drafts(address)
        _, free = timed(address, {**base, "seed": seed, "max_tokens": tokens, "ignore_eos": True})
        if seed == 0:
            continue   # warms up
        ratios.append(free / forced)
        shares.append((after[1] - before[1]) / tokens)
        print(f"seed {seed}: {tokens} tokens, forced {tokens / forced:.1f} tokens/s, free {tokens / free:.1f} tokens/s, ratio {free / forced:.2f}, "
              f"{after[1] - before[1]:.0f} of {after[0] - before[0]:.0f} drafted tokens right", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}, {100 * statistics.median(shares):.0f} % of the tokens were drafted and right")


def main():
    program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "wide.gguf")
        write_wide(path)
        command = [program, "up", "--model", path, "--workers", "2", "--threads-per-worker", "1", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "XDG_CACHE_HOME": folder})
        try:
            for line in process.stdout:
                if line.startswith("ready "):
                    measure(line.split()[1], rounds)
                    break
            else:
                sys.exit("llamacluster did not become ready")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


main()
