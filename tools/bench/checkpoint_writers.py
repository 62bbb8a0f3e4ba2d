"""The Python writers of checkpoint formats, for checkpoint_bench.

    python checkpoint_writers.py THREADS [SOURCES]

SOURCES is a folder with the unpacked sources of packages that cannot be installed whole (GPTQModel,
AutoAWQ, ModelOpt): the newest folder of each name counts, and only the functions that quantize and
pack are loaded from it. Lines on standard input are jobs, fields separated by tabs:

    open FILE                    reads the matrix "w" of a safetensors file, in its own type
    encode TARGET                quantizes and packs it, in memory
    program TARGET FROM TO       every Linear weight of a model.safetensors; writes another

Each gives one line on standard output: seconds (of the processor for "encode", which others cannot
slow as much), or "missing" and why. Finding scales counts for the
packages that have a function for it (compressed-tensors' calculate_qparams with the extremes of
each group); GPTQModel's and AutoAWQ's packing gets scales and zeros that were made before.
"""
import ast
import functools
import math
import os
import pathlib
import sys
import time
import types

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

SOURCES = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
GROUP = 128


class Missing(Exception):
    pass


def source(pattern):
    found = sorted(SOURCES.glob(pattern)) if SOURCES else []
    if not found:
        raise Missing(f"no {pattern} in {SOURCES}")
    return found[-1]


def functions(path, names, space):
    """The functions of these names, wherever in the file, without decorators."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            node.decorator_list = []
            exec(compile(ast.Module([node], []), str(path), "exec"), space)
    return space


def integer_grid(weight, bits, symmetric):
    """Scale and zero of every group from its extremes, [outputs, groups]."""
    groups = weight.float().reshape(weight.shape[0], -1, GROUP)
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    if symmetric:
        high = torch.maximum(-low, high)
        low = -high
    scale = ((high - low) / (2**bits - 1)).half().float()
    zero = torch.full_like(scale, 2 ** (bits - 1)) if symmetric else (-low / scale).round().clamp(0, 2**bits - 1)
    return scale, zero


def no_scales(weight):
    return ()


def bnb_4bit(kind, nested):
    import bitsandbytes.functional as F

    def write(weight):
        packed, state = F.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=kind)
        return {"weight": packed, **{f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}}

    return no_scales, write


def bnb_int8():
    import bitsandbytes.functional as F

    def write(weight):
        codes, scales, _ = F.int8_vectorwise_quant(weight.half())
        return {"weight": codes, "SCB": scales}

    return no_scales, write


def compressed_tensors(form, **arguments):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    args = QuantizationArgs(dynamic=False, **arguments)
    scheme = QuantizationScheme(targets=["Linear"], weights=args, format=form)
    compressor = BaseCompressor.get_value_from_registry(form)
    strategy = getattr(args.strategy, "value", args.strategy)

    def extremes(weight):
        rows = weight.shape[0]
        if strategy in ("group", "tensor_group"):
            parts, axes = weight.reshape(rows, -1, args.group_size), (-1,)
        elif strategy == "block":
            a, b = args.block_structure
            parts, axes = weight.reshape(rows // a, a, -1, b), (1, 3)
        elif strategy == "channel":
            low, high = torch.aminmax(weight, dim=-1, keepdim=True)
            return low, high
        else:
            low, high = torch.aminmax(weight)
            return low.reshape(1), high.reshape(1)
        return parts.amin(axes), parts.amax(axes)

    def write(weight):
        low, high = extremes(weight)
        state = {"weight": weight}
        if strategy == "tensor_group":
            state["weight_global_scale"] = generate_gparam(low.min().reshape(1), high.max().reshape(1))
        scale, zero = calculate_qparams(low, high, args, global_scale=state.get("weight_global_scale"))
        state["weight_scale"] = scale
        if not args.symmetric:
            state["weight_zero_point"] = zero
        return compressor.compress(state, scheme)

    return no_scales, write


def gptqmodel(bits, native):
    """pack_block(): with the package's C++ extension, or the tensor operations that serve without."""
    folder = source("gptqmodel-*")
    if native:
        from torch.utils.cpp_extension import load

        load("gptqmodel_pack", [str(folder / "gptqmodel_ext/pack_block_cpu.cpp")], is_python_module=False,
             extra_cflags=["-O3", "-std=c++20"])
    space = {"t": torch, "np": np, "os": os, "nn": torch.nn, "math": math, "_ConvNd": torch.nn.modules.conv._ConvNd,
             "transformers": types.SimpleNamespace(pytorch_utils=types.SimpleNamespace(Conv1D=type(None))),
             "env_flag": lambda name: not native, "__package__": "gptqmodel_bench",
             "log": types.SimpleNamespace(debug=print, warning=print)}
    extension = types.ModuleType("gptqmodel_bench.pack_block_ext")
    extension.pack_block_cpu = lambda *a: torch.ops.gptqmodel.pack_block_cpu(*a)
    sys.modules["gptqmodel_bench"] = types.ModuleType("gptqmodel_bench")
    sys.modules["gptqmodel_bench.pack_block_ext"] = extension
    functions(folder / "gptqmodel/nn_modules/qlinear/__init__.py", {"pack_block"}, space)

    def write(weight, scale, zero):
        layer = types.SimpleNamespace(bits=bits, maxq=2**bits - 1, pack_dtype_bits=32, planar=False,
                                      pack_dtype=torch.int32, pack_np_math_dtype=np.uint32, pack_np_dtype=np.int32)
        out = {}
        layer.register_buffer = out.__setitem__
        linear = types.SimpleNamespace(weight=weight, bias=None)
        space["pack_block"](layer, linear, scale, zero, torch.arange(weight.shape[1], dtype=torch.int32) // GROUP,
                            workers=torch.get_num_threads())
        return out

    return functools.partial(integer_grid, bits=bits, symmetric=True), write


def autoawq():
    """WQLinear_GEMM.from_linear()."""
    folder = source("autoawq-*")
    for name in ("awq", "awq.utils", "awq.modules", "awq.modules.linear"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = package
    from awq.modules.linear.gemm import WQLinear_GEMM

    def write(weight, scale, zero):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        linear.weight = torch.nn.Parameter(weight.half(), requires_grad=False)
        layer = WQLinear_GEMM.from_linear(linear, 4, GROUP, False, scale.t().contiguous(), zero.t().contiguous())
        return {"qweight": layer.qweight, "qzeros": layer.qzeros, "scales": layer.scales}

    return functools.partial(integer_grid, bits=4, symmetric=False), write


def gptqmodel_awq():
    """GPTQModel's packing of the same layout: one pass of tensor operations."""
    folder = source("gptqmodel-*")
    space = {"torch": torch, "AWQ_ORDER": [0, 2, 4, 6, 1, 3, 5, 7]}
    functions(folder / "gptqmodel/quantization/awq/utils/packing_utils.py", {"pack_awq", "pack_awq_columns"}, space)
    functions(folder / "gptqmodel/nn_modules/qlinear/torch_awq.py", {"pack"}, space)

    def write(weight, scale, zero):
        out = {}
        layer = types.SimpleNamespace(bits=4, group_size=GROUP, in_features=weight.shape[1])
        layer.register_buffer = lambda name, value: (out.__setitem__(name, value), setattr(layer, name, value))
        linear = types.SimpleNamespace(weight=torch.nn.Parameter(weight, requires_grad=False), bias=None)
        space["pack"](layer, linear, scale.half(), zero)
        return out

    return functools.partial(integer_grid, bits=4, symmetric=False), write


def modelopt():
    """NVFP4QTensor's scales, codes and packing; the reductions are those of its quant_utils."""
    folder = source("nvidia_modelopt-*") / "modelopt/torch/quantization/qtensor/nvfp4_tensor.py"
    tree = ast.parse(folder.read_text())
    tree.body = [n for n in tree.body if not isinstance(n, ast.ImportFrom) or n.level == 0]
    base = type("BaseQuantizedTensor", (), {"__init__": lambda self, shape, dtype, data: setattr(self, "_quantized_data", data)})
    space = {"BaseQuantizedTensor": base, "E2M1_MAX": 6.0, "E4M3_MAX": 448.0, "fp8_max_for_normalization": None,
             "reduce_amax": lambda x: x.abs().amax(), "reduce_block_padding": lambda x, block_sizes: x,
             "reduce_block_amax": lambda x, block_sizes: x.abs().reshape(*x.shape[:-1], -1, block_sizes[-1]).amax(-1)}
    exec(compile(tree, str(folder), "exec"), space)

    def write(weight):
        tensor, scale, scale_2 = space["NVFP4QTensor"].quantize(weight, 16)
        return {"weight": tensor._quantized_data, "weight_scale": scale, "weight_scale_2": scale_2}

    return no_scales, write


def integers(bits, **more):
    return dict(type="int", num_bits=bits, symmetric=True, **more)


def fp8(**more):
    return functools.partial(compressed_tensors, "float-quantized", type="float", num_bits=8, symmetric=True, **more)


FP4 = dict(type="float", num_bits=4, symmetric=True)
WRITERS = {
    "bnb:nf4": functools.partial(bnb_4bit, "nf4", True),
    "bnb:nf4-plain": functools.partial(bnb_4bit, "nf4", False),
    "bnb:fp4": functools.partial(bnb_4bit, "fp4", True),
    "bnb:int8": bnb_int8,
    "ct:int8": functools.partial(compressed_tensors, "int-quantized", **integers(8, strategy="channel")),
    "ct:int4": functools.partial(compressed_tensors, "pack-quantized", **integers(4, strategy="group", group_size=GROUP)),
    "gptq:4": functools.partial(gptqmodel, 4, False),
    "gptq:4 native": functools.partial(gptqmodel, 4, True),
    "awq:4": autoawq,
    "awq:4 gptqmodel": gptqmodel_awq,
    "fp8:tensor": fp8(strategy="tensor"),
    "fp8:channel": fp8(strategy="channel"),
    "fp8:block": fp8(strategy="block", block_structure=[128, 128]),
    "ct:mxfp4": functools.partial(compressed_tensors, "mxfp4-pack-quantized", strategy="group", group_size=32,
                                  scale_dtype=torch.uint8, zp_dtype=torch.uint8, **FP4),
    "ct:nvfp4": functools.partial(compressed_tensors, "nvfp4-pack-quantized", strategy="tensor_group", group_size=16,
                                  scale_dtype=torch.float8_e4m3fn, zp_dtype=torch.float8_e4m3fn, **FP4),
    "modelopt:nvfp4": modelopt,
}


@functools.lru_cache(None)
def writer(target):
    return WRITERS[target]()


def run_program(target, source_folder, output_folder):
    scales, write = writer(target)
    tensors = {}
    with safe_open(os.path.join(source_folder, "model.safetensors"), "pt") as file:
        for name in file.keys():
            value = file.get_tensor(name)
            if "_proj." not in name:
                tensors[name] = value
                continue
            module = name.removesuffix("weight")
            tensors |= {module + k: v.contiguous() for k, v in write(value, *scales(value)).items()}
    save_file(tensors, os.path.join(output_folder, "model.safetensors"))


@torch.inference_mode()
def main():
    torch.set_num_threads(int(sys.argv[1]))
    answers, sys.stdout = sys.stdout, sys.stderr
    weight = None
    for line in sys.stdin:
        job, *fields = line.rstrip("\n").split("\t")
        try:
            if job == "open":
                weight = load_file(fields[0])["w"]
                answer = "0"
            elif job == "encode":
                scales, write = writer(fields[0])
                given = scales(weight)
                start = time.process_time()
                write(weight, *given)
                answer = str(time.process_time() - start)
            else:
                writer(fields[0])  # what it imports is there before
                start = time.perf_counter()
                run_program(*fields)
                answer = str(time.perf_counter() - start)
        except Exception as error:
            answer = f"missing {type(error).__name__}: {error}".replace("\n", " ")[:300]
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    main()
