"""What official packages store for matrices that bite: the bytes that our writers must produce.

    python writers.py PACKAGE FOLDER [SOURCE]

PACKAGE is one of the functions at the end (`matrices` first); run each in an environment that has
it. SOURCE is a folder with a package's sources, for packages that cannot be installed without their
accelerator: only their own packing code is loaded then. FOLDER (tests/golden/written) gets
model.safetensors, the matrices, and a TARGET.json for each of our targets: type, shape and the
beginning of the SHA-256 of every tensor that the package stores for a matrix, by its name in a
checkpoint.

A matrix is left out where the package's definition is another; the reason stands with it.
"""
import hashlib
import json
import pathlib
import sys
import types

import torch
from safetensors.torch import load_file, save_file

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int8: "I8", torch.uint8: "U8",
         torch.int32: "I32", torch.int64: "I64", torch.float8_e4m3fn: "F8_E4M3"}


def matrices(folder):
    """Each in F32 and, rounded, in BF16."""
    generator = torch.Generator().manual_seed(7)
    normal = torch.randn(32, 256, generator=generator) * 0.05 * (torch.rand(32, 1, generator=generator) * 2 + 0.1)
    # Multiples of a half, a quarter ... of every step: with the largest value at 7.5, 127.5, 6, 448 ...
    # steps, most others stand in the middle between two codes.
    tops = torch.tensor([7.5, 127.5, 6, 448, 127, 1, 3.5, 7, 15.5, 31.5, 63.5, 1.5, 2688, 12, 96, 28]).repeat(2)
    ties = torch.randint(-16, 17, (32, 128), generator=generator) / 2 * (tops / 8).unsqueeze(1) / 2
    ties[16:] = torch.randint(-512, 513, (16, 128), generator=generator) / 4
    for first in range(0, 128, 16):
        ties[:, first + 5] = tops * (1 - 2 * (torch.arange(32) % 2))
    constant = torch.tensor([1, -1, 0.3, -0.3, 1e-3, -7e-6, 0, 200]).repeat(4).unsqueeze(1).repeat(1, 128)
    zeros = torch.zeros(32, 128)
    some = torch.randn(32, 128, generator=generator)
    some[::3] = 0
    some[:, 32:64] = 0
    outlier = torch.randn(32, 128, generator=generator) * 0.01
    outlier[3, 77] = 50
    outlier[9, 0] = -1e4
    tiny = torch.randn(32, 128, generator=generator) * torch.logspace(-45, -30, 32).unsqueeze(1)
    signed = torch.rand(32, 128, generator=generator) * torch.tensor([1.0, -1.0]).repeat(16).unsqueeze(1) + 0.1
    odd = torch.randn(31, 37, generator=generator)
    wide = torch.randn(130, 132, generator=generator) * 0.02 * (torch.rand(130, 1, generator=generator) + 0.2)
    tensors = {}
    for name, matrix in dict(normal=normal, ties=ties, constant=constant, zeros=zeros, some=some, outlier=outlier,
                             tiny=tiny, signed=signed, odd=odd, wide=wide).items():
        tensors[f"f32.{name}.weight"] = matrix.float().contiguous()
        tensors[f"bf16.{name}.weight"] = matrix.bfloat16().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text("{}\n")


def write(folder, target, stored, left_out):
    """`stored`: module -> {suffix: tensor}; `left_out`: module or its ending -> why."""
    expected = {}
    for module, parts in stored.items():
        for suffix, tensor in parts.items():
            data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            shape = "x".join(str(length) for length in tensor.shape)
            expected[module + suffix] = f"{TYPES[tensor.dtype]} {shape} {hashlib.sha256(data).hexdigest()[:16]}"
    text = {"tensors": expected, "left_out": left_out}
    (folder / (target.replace(":", "-") + ".json")).write_text(json.dumps(text, indent=0, sort_keys=True) + "\n")


def store(folder, target, one, left_out=None):
    """Runs `one` on every matrix that is not left out; one that the format cannot hold is None."""
    left_out, stored = left_out or {}, {}
    for name, weight in load_file(folder / "model.safetensors").items():
        module = name.removesuffix(".weight")
        if any(module.endswith(end) for end in left_out):
            continue
        parts = one(weight)
        if parts is not None:
            stored[module] = parts
    write(folder, target, stored, left_out)


def bitsandbytes(folder):
    import bitsandbytes.functional as F

    def four(kind, nested):
        def one(weight):
            packed, state = F.quantize_4bit(weight, blocksize=64, quant_type=kind)
            if nested:  # the package's own mean depends on the number of threads; this one is exact
                state.offset = state.absmax.double().mean().float()
                state.absmax, state.state2 = F.quantize_blockwise(state.absmax - state.offset, blocksize=256)
                state.nested = True
            parts = {".weight": packed}
            for key, value in state.as_dict(packed=True).items():
                if "quant_state" in key and nested:
                    continue  # its text has the mean with as many digits as it needs
                parts[f".weight.{key}"] = value
            return parts
        return one

    def eight(weight):
        codes, scales, _ = F.int8_vectorwise_quant(weight.half())
        return {".weight": codes, ".SCB": scales, ".weight_format": torch.tensor(0, dtype=torch.uint8)}

    for kind in ("nf4", "fp4"):
        store(folder, f"bnb:{kind}-plain", four(kind, False))
        store(folder, f"bnb:{kind}", four(kind, True), {"zeros": "the package's code for CPUs divides by a maximum of zero"})
    store(folder, "bnb:int8", eight)


def compressed_tensors(folder):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    def scheme_of(form, **args):
        return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(dynamic=False, **args), format=form)

    def one_of(scheme):
        args = scheme.weights
        strategy = getattr(args.strategy, "value", args.strategy)

        def one(weight):
            rows, columns = weight.shape
            extra = {}
            if args.group_size and columns % args.group_size != 0:
                return None
            if strategy in ("group", "tensor_group"):
                runs = weight.reshape(rows, -1, args.group_size)
                low, high = runs.amin(-1), runs.amax(-1)
            elif strategy == "channel":
                low, high = weight.amin(-1, keepdim=True), weight.amax(-1, keepdim=True)
            elif strategy == "block":
                a, b = args.block_structure
                padded = torch.zeros(-(-rows // a) * a, -(-columns // b) * b, dtype=weight.dtype)
                padded[:rows, :columns] = weight
                blocks = padded.reshape(padded.shape[0] // a, a, padded.shape[1] // b, b)
                low, high = blocks.amin((1, 3)), blocks.amax((1, 3))
            else:
                low, high = weight.amin().reshape(1), weight.amax().reshape(1)
            if strategy == "tensor_group":
                extra["weight_global_scale"] = generate_gparam(weight.amin().reshape(1), weight.amax().reshape(1))
            scale, zero = calculate_qparams(low, high, args, global_scale=extra.get("weight_global_scale"))
            # Quotients are single precision, as in the package's kernel for accelerators (its path for CPUs
            # rounds them to the weight's type before it rounds them to codes).
            state = {"weight": weight.float(), "weight_scale": scale.float(), **extra}
            if not args.symmetric:
                state["weight_zero_point"] = zero
            packed = BaseCompressor.get_value_from_registry(scheme.format).compress(state, scheme)
            if strategy != "tensor_group" and packed["weight_scale"].dtype == torch.float32:
                packed["weight_scale"] = scale
            return {"." + name: tensor for name, tensor in packed.items()}
        return one

    steps = {"bf16." + name: "ranges and zero points are computed in BF16"
             for name in ("normal", "ties", "constant", "zeros", "some", "outlier", "tiny", "signed", "odd", "wide")}
    for bits in range(2, 9):
        name = f"ct:int{bits}" if bits < 8 else "ct:w8"
        for symmetric in (True, False):
            form = scheme_of("pack-quantized", type="int", num_bits=bits, symmetric=symmetric, strategy="group", group_size=32)
            store(folder, f"{name}-g32{'' if symmetric else '-asym'}", one_of(form), None if symmetric else steps)
    for symmetric in (True, False):
        form = scheme_of("int-quantized", type="int", num_bits=8, symmetric=symmetric, strategy="channel")
        store(folder, f"ct:int8{'' if symmetric else '-asym'}", one_of(form), None if symmetric else steps)
    form = scheme_of("pack-quantized", type="int", num_bits=4, symmetric=True, strategy="channel")
    store(folder, "ct:int4-channel", one_of(form))
    for strategy in ("tensor", "channel"):
        form = scheme_of("float-quantized", type="float", num_bits=8, symmetric=True, strategy=strategy)
        store(folder, f"fp8:{strategy}", one_of(form))
    form = scheme_of("float-quantized", type="float", num_bits=8, symmetric=True, strategy="block", block_structure=[128, 128])
    block = one_of(form)

    def deepseek(weight):  # the container has scales in F32 and another name for them
        parts = block(weight.float())
        return {".weight": parts[".weight"], ".weight_scale_inv": parts[".weight_scale"]}
    store(folder, "fp8:block", deepseek)
    form = scheme_of("mxfp4-pack-quantized", type="float", num_bits=4, symmetric=True, strategy="group", group_size=32,
                     scale_dtype=torch.uint8, zp_dtype=torch.uint8)
    store(folder, "ct:mxfp4", one_of(form))
    form = scheme_of("nvfp4-pack-quantized", type="float", num_bits=4, symmetric=True, strategy="tensor_group", group_size=16,
                     scale_dtype=torch.float8_e4m3fn, zp_dtype=torch.float8_e4m3fn)
    store(folder, "ct:nvfp4", one_of(form), {"bf16." + end.split(".")[1]: "the tensor's scale is rounded to BF16" for end in steps})


def rounded(weight, bits, group, symmetric):
    """What a package is given to pack: codes rounded to nearest, FP16 scales and zero points of groups; None if the groups do not fit."""
    rows, columns = weight.shape
    if rows % 32 or columns % 32 or columns % group:
        return None
    runs = weight.float().reshape(rows, -1, group)
    low, high = runs.amin(-1).clamp(max=0), runs.amax(-1).clamp(min=0)
    top = 2**bits - 1
    if symmetric:
        scale = (torch.maximum(-low, high) / (top / 2)).half().float()
    else:
        scale = ((high - low) / top).half().float()
    scale[scale == 0] = 2**-10
    zero = torch.full_like(scale, 2 ** (bits - 1)) if symmetric else (-low / scale).round().clamp(0, top)
    codes = ((runs / scale[..., None]).round() + zero[..., None]).clamp(0, top)
    return codes, scale, zero


def gptqmodel(folder, source):
    """GPTQModel's layer packs what it is given: codes times scales, scales and zeros; it must decode the same."""
    sys.path.insert(0, str(source))
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.quantization.config import FORMAT
    from gptqmodel.utils.backend import BACKEND

    for bits in (2, 3, 4, 8):
        for symmetric in (True, False):
            def one(weight):
                parts = rounded(weight, bits, 32, symmetric)
                if parts is None:
                    return None
                codes, scale, zero = parts
                rows, columns = weight.shape
                values = ((codes - zero[..., None]) * scale[..., None]).reshape(rows, columns)
                linear = torch.nn.Linear(columns, rows, bias=False)
                linear.weight.data = values
                layer = TorchLinear(bits=bits, group_size=32, sym=symmetric, desc_act=False, in_features=columns, out_features=rows,
                                    bias=False, pack_dtype=torch.int32, backend=BACKEND.GPTQ_TORCH, register_buffers=True)
                index = (torch.arange(columns) // 32).int()
                layer.pack_original(linear, scale.clone(), zero.clone(), index)
                layer.post_init()
                assert torch.equal(layer.dequantize_weight().t().float(), values.half().float()), "decoded otherwise"
                qzeros = layer.qzeros
                if symmetric:  # files of the first version store one less; the package converts them when it loads
                    one_less = sum(1 << shift for shift in range(0, 32, bits)) if bits != 3 else None
                    if one_less is None:
                        return {".qweight": layer.qweight, ".scales": layer.scales, ".g_idx": layer.g_idx}
                    qzeros = (qzeros.long() - one_less).to(torch.int32)
                return {".qweight": layer.qweight, ".qzeros": qzeros, ".scales": layer.scales, ".g_idx": layer.g_idx}
            store(folder, f"gptq:{bits}-g32{'' if symmetric else '-asym'}-absmax", one)


def autoawq(folder, source):
    """AutoAWQ's GEMM layer packs what it is given and must decode the same."""
    for name in ("awq", "awq.utils", "awq.modules", "awq.modules.linear"):
        package = types.ModuleType(name)
        package.__path__ = [str(source / name.replace(".", "/"))]
        sys.modules[name] = package
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.utils.packing_utils import dequantize_gemm

    for group in (32, 64, 128):
        def one(weight):
            parts = rounded(weight, 4, group, False)
            if parts is None:
                return None
            codes, scale, zero = parts
            rows, columns = weight.shape
            values = ((codes - zero[..., None]) * scale[..., None]).reshape(rows, columns)
            linear = torch.nn.Linear(columns, rows, bias=False)
            linear.weight.data = values
            layer = WQLinear_GEMM.from_linear(linear, 4, group, False, scale.t().contiguous(), zero.t().contiguous())
            decoded = dequantize_gemm(layer.qweight, layer.qzeros, layer.scales, 4, group).t()
            assert torch.equal(decoded.float(), values.half().float()), "decoded otherwise"
            return {".qweight": layer.qweight, ".qzeros": layer.qzeros, ".scales": layer.scales}
        store(folder, f"awq:4-g{group}-absmax", one)


def modelopt(folder, source):
    sys.path.insert(0, str(source))
    from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor

    def one(weight):
        if weight.shape[-1] % 16:
            return None
        codes, scale, second = NVFP4QTensor.quantize(weight.float(), 16)
        return {".weight": codes._quantized_data, ".weight_scale": scale, ".weight_scale_2": second}
    store(folder, "modelopt:nvfp4", one, {"zeros": "the package divides by the tensor's scale of zero"})


if __name__ == "__main__":
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]), *(pathlib.Path(source) for source in sys.argv[3:]))
