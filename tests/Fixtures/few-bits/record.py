#!/usr/bin/env python3
"""Makes the folders beside this file, small Llamas whose matrices are stored as numbers of few bits and scales, and records what the weights are.

usage: record.py SOURCE
SOURCE is the folder src of the repository vllm-project/compressed-tensors (here at ac8e2ba82f4e). Needs torch (here 1.13.1, Debian's).

What packs, unpacks and multiplies is the library's own code. Around it stand-ins are put for what it imports and does not use here: triton, pydantic's classes of settings, loguru.
torch 1.13 has no float8_e4m3fn: its numbers are looked up in float8_e4m3fn.txt, what ONNX Runtime 1.31.1 casts them to (256 lines: the bits of the float that a byte stands for), and handed to the library as
floats. fp8 with one scale, and fbgemm_fp8, have no code to call here: their weights are products of floats.

NAME/config.json, model.safetensors   the model: 2 layers, bfloat16 where it is not quantised
NAME/expected.json                    of each matrix the type of the weights, SHA-256 of their bytes, and the first four
"""
import enum
import hashlib
import importlib.util
import json
import os
import shutil
import struct
import sys
import types

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
HIDDEN, FFN, HEADS, KV_HEADS, HEAD, LAYERS, VOCABULARY = 64, 96, 4, 2, 16, 2, 20
DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int8: "I8", torch.int32: "I32", torch.int64: "I64", torch.uint8: "F8_E4M3"}


def load_library(source):
    """The modules that compute, with stand-ins for what they import."""
    def module(name, **members):
        made = types.ModuleType(name)
        made.__dict__.update(members)
        made.__path__ = []
        sys.modules[name] = made
        return made

    def load(name):
        path = os.path.join(source, *name.split(".")) + ".py"
        if not os.path.exists(path):
            path = os.path.join(source, *name.split("."), "base.py")
        spec = importlib.util.spec_from_file_location(name, path)
        made = importlib.util.module_from_spec(spec)
        sys.modules[name] = made
        spec.loader.exec_module(made)
        return made

    class Names(str, enum.Enum):
        pass

    strategy = Names("QuantizationStrategy", {n.upper(): n for n in ("tensor", "channel", "group", "block", "token", "tensor_group", "attn_head")})
    kind = Names("QuantizationType", {"INT": "int", "FLOAT": "float"})
    ordering = Names("ActivationOrdering", {"GROUP": "group", "WEIGHT": "weight"})
    formats = Names("CompressionFormat", {n: n for n in ("pack_quantized", "naive_quantized", "int_quantized", "float_quantized")})

    class Args(types.SimpleNamespace):
        def __init__(self, **fields):
            super().__init__(**{**dict(num_bits=8, type="int", symmetric=True, group_size=None, strategy=None, block_structure=None, actorder=None), **fields})

    def rounded(tensor, args, min, max):
        return torch.clamp(torch.round(tensor), min, max)

    def limits(args, device):
        return torch.tensor(-2.0 ** (args.num_bits - 1)), torch.tensor(2.0 ** (args.num_bits - 1) - 1)

    def pad(tensor, block):
        rows, columns = (-size % part for size, part in zip(tensor.shape, block))
        return torch.nn.functional.pad(tensor, (0, columns, 0, rows))

    class Backends:
        register = staticmethod(lambda *_: lambda function: function)
        entrypoint = staticmethod(lambda *_: lambda function: function)

    class Base:
        register = staticmethod(lambda name: lambda cls: cls)

        @classmethod
        def _remove_symmetric_zp(cls, state, scheme):
            if scheme.weights.symmetric:
                state.pop("weight_zero_point", None)
            return state

    class Anything:
        constexpr = staticmethod(lambda value: value)
        jit = staticmethod(lambda function: function)
        tensor = object

    args = dict(QuantizationArgs=Args, QuantizationStrategy=strategy, QuantizationType=kind, ActivationOrdering=ordering, DynamicType=None,
                round_to_quantized_type_args=rounded, QuantizationScheme=object, QuantizationConfig=object, QuantizationStatus=object)
    module("compressed_tensors")
    module("compressed_tensors.quantization", **args)
    module("compressed_tensors.quantization.quant_args", **args)
    module("compressed_tensors.quantization.quant_config", **args)
    module("compressed_tensors.quantization.quant_scheme", **args)
    module("compressed_tensors.quantization.lifecycle")
    module("compressed_tensors.quantization.utils", maybe_pad_tensor_for_block_quant=pad, calculate_range=limits, compute_dynamic_scales_and_zp=None)
    module("compressed_tensors.quantization.utils.helpers", maybe_pad_tensor_for_block_quant=pad)
    module("compressed_tensors.quantization.utils.fp4_utils", _round_to_fp4=None)
    module("compressed_tensors.utils", patch_attr=None, TensorStateDict=dict,
           getattr_chain=lambda value, chain, default: getattr(value.weights, chain.split(".")[-1], default) if chain.startswith("weights") else default)
    module("compressed_tensors.utils.impl_backend", ImplBackend=Backends)
    module("compressed_tensors.utils.match", match_name=None, match_quantizable_tensors=None)
    module("compressed_tensors.utils.triton", tl=Anything, triton=Anything, triton_req=None)
    module("compressed_tensors.config", CompressionFormat=formats)
    module("compressed_tensors.compressors")
    module("compressed_tensors.compressors.base", COMPRESSIBLE_MODULE_TYPES=(), BaseCompressor=Base)
    module("compressed_tensors.compressors.pack_quantized")
    module("compressed_tensors.entrypoints.convert.converters", Converter=object)
    load("compressed_tensors.quantization.lifecycle.forward_helpers")
    forward = load("compressed_tensors.quantization.lifecycle.forward")
    load("compressed_tensors.compressors.pack_quantized.helpers")
    packed = load("compressed_tensors.compressors.pack_quantized.base").PackedQuantizationCompressor
    blocks = load("compressed_tensors.entrypoints.convert.converters.fp8block_dequantizer").FP8BlockDequantizer
    return types.SimpleNamespace(Args=Args, packed=packed, blocks=blocks, dequantize=forward.dequantize)


def float8_table():
    with open(os.path.join(HERE, "float8_e4m3fn.txt")) as lines:
        return torch.tensor([struct.unpack(">f", bytes.fromhex(line))[0] for line in lines.read().split()])


def to_float8(values, table):
    """The codes of the nearest numbers."""
    finite = torch.where(table.isnan(), torch.tensor(1e9), table)
    return (values.unsqueeze(-1) - finite).abs().argmin(-1).to(torch.uint8)


class Model:
    def __init__(self, seed):
        self.random = torch.Generator().manual_seed(seed)

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.random)

    def shapes(self):
        for layer in range(LAYERS):
            prefix = f"model.layers.{layer}."
            for part, rows, columns in (("q", HEADS * HEAD, HIDDEN), ("k", KV_HEADS * HEAD, HIDDEN), ("v", KV_HEADS * HEAD, HIDDEN), ("o", HIDDEN, HEADS * HEAD)):
                yield f"{prefix}self_attn.{part}_proj", rows, columns
            for part, rows, columns in (("gate", FFN, HIDDEN), ("up", FFN, HIDDEN), ("down", HIDDEN, FFN)):
                yield f"{prefix}mlp.{part}_proj", rows, columns

    def others(self):
        yield "model.embed_tokens.weight", self.normal(VOCABULARY, HIDDEN)
        yield "lm_head.weight", self.normal(VOCABULARY, HIDDEN) / 8
        for name in ["model.norm"] + [f"model.layers.{layer}.{norm}" for layer in range(LAYERS) for norm in ("input_layernorm", "post_attention_layernorm")]:
            yield name + ".weight", 1 + self.normal(HIDDEN) / 16


def integers(library, model, args, dtype, order=False):
    """Modules as the library's compressor packs them."""
    scheme = types.SimpleNamespace(weights=args)
    for name, rows, columns in model.shapes():
        weight = (model.normal(rows, columns) / 8).to(dtype)
        group = args.group_size or columns
        state = {"weight": weight}
        grouped = weight
        if order:
            ids = torch.arange(columns) // group
            state["weight_g_idx"] = ids[torch.randperm(columns, generator=model.random)].to(torch.int32)
            grouped = weight[:, torch.argsort(state["weight_g_idx"])]
        grouped = grouped.float().reshape(rows, columns // group, group)
        least, most = grouped.amin(-1).clamp(max=0), grouped.amax(-1).clamp(min=0)
        levels, half = 2 ** args.num_bits - 1, 2 ** (args.num_bits - 1)
        if args.symmetric:
            state["weight_scale"] = (2 * torch.maximum(most, -least) / levels).to(dtype)
        else:
            state["weight_scale"] = ((most - least) / levels).to(dtype)
            state["weight_zero_point"] = (torch.round(-least / state["weight_scale"].float()) - half).clamp(-half, half - 1).to(torch.int8)
        packed = library.packed.compress(state, scheme)
        yield name, packed, library.packed.decompress(packed, scheme)["weight"]


def float8(model, table, scales_of, weights_of):
    for name, rows, columns in model.shapes():
        codes = to_float8(model.normal(rows, columns) * 64, table)
        scales = scales_of(rows, columns)
        yield name, {"weight": codes, **scales}, weights_of(table[codes.long()], list(scales.values())[0])


def write(name, quantization, model, modules):
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tensors, expected = {}, {}
    for module, stored, weights in modules:
        for part, tensor in stored.items():
            tensors[f"{module}.{part}"] = tensor
        expected[f"{module}.weight"] = {"type": DTYPES[weights.dtype], "sha256": hashlib.sha256(data(weights)).hexdigest(), "first": weights[0, :4].float().tolist()}
    for tensor, values in model.others():
        tensors[tensor] = values.to(torch.bfloat16)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "vocab_size": VOCABULARY, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "quantization_config": quantization,
    }
    for file, content in (("config.json", config), ("expected.json", expected)):
        with open(os.path.join(folder, file), "w") as output:
            json.dump(content, output, indent=1)
            output.write("\n")
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors)


def data(tensor):
    tensor = tensor.contiguous()
    return (tensor.view(torch.int16) if tensor.dtype is torch.bfloat16 else tensor).numpy().tobytes()


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = len(data(tensor))
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as output:
        output.write(struct.pack("<Q", len(text)) + text + b"".join(data(tensor) for tensor in tensors.values()))


def compressed(form, **weights):
    return {
        "quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": ["lm_head"], "kv_cache_scheme": None,
        "config_groups": {"group_0": {"targets": ["Linear"], "input_activations": None, "output_activations": None, "weights": weights}},
    }


def main():
    library, table = load_library(sys.argv[1]), float8_table()

    def record_integers(name, seed, dtype, order=False, **weights):
        model = Model(seed)
        write(name, compressed("pack-quantized", **weights), model, integers(library, model, library.Args(**weights), dtype, order))

    record_integers("w4a16", 1, torch.bfloat16, num_bits=4, type="int", strategy="group", group_size=32, symmetric=True, actorder="weight")
    record_integers("w4a16-zero-points", 2, torch.bfloat16, num_bits=4, type="int", strategy="group", group_size=32, symmetric=False, actorder=None)
    record_integers("w4a16-ordered", 3, torch.bfloat16, order=True, num_bits=4, type="int", strategy="group", group_size=32, symmetric=False, actorder="group")
    record_integers("w8a16-rows", 4, torch.float32, num_bits=8, type="int", strategy="channel", symmetric=True)

    model = Model(5)
    block = [48, 40]
    write("fp8-blocks", {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": block}, model, float8(
        model, table, lambda rows, columns: {"weight_scale_inv": model.normal(-(-rows // block[0]), -(-columns // block[1])).abs() / 512 + 1e-3},
        lambda weights, scale: library.blocks(weight_block_size=block, dtype=torch.float32)._create_dequantized_weight(weights, scale)))

    model = Model(6)
    write("fp8-matrices", {"quant_method": "fp8", "activation_scheme": "static", "modules_to_not_convert": ["lm_head"], "weight_block_size": None}, model, float8(
        model, table, lambda rows, columns: {"weight_scale_inv": (model.normal(1).abs() / 512 + 1e-3).reshape(()).to(torch.bfloat16), "activation_scale": torch.tensor(0.5)},
        lambda weights, scale: weights * scale.float()))

    model = Model(7)
    write("fbgemm", {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": ["lm_head"]}, model, float8(
        model, table, lambda rows, columns: {"weight_scale": model.normal(rows, 1).abs() / 512 + 1e-3}, lambda weights, scale: weights * scale))

    model = Model(8)
    write("float-quantized", compressed("float-quantized", num_bits=8, type="float", strategy="channel", symmetric=True), model, float8(
        model, table, lambda rows, columns: {"weight_scale": (model.normal(rows, 1).abs() / 512 + 1e-3).to(torch.float16)}, lambda weights, scale: library.dequantize(weights, scale)))


if __name__ == "__main__":
    main()
