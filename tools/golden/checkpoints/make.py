"""Small checkpoints made by the packages whose formats they are, and what those packages decode.

    python make.py PACKAGE OUTPUT [SOURCE]

PACKAGE is one of the functions below; run each in a virtual environment that has it. SOURCE is a
folder with a package's sources, for packages that cannot be installed without their accelerator:
only their own packing and unpacking modules are loaded then. OUTPUT gets one folder per checkpoint:
model.safetensors, config.json and decoded.json, the SHA-256 of each decoded tensor in the type in
which the package computes it.
"""
import hashlib
import importlib.util
import json
import pathlib
import sys
import types

import torch
from safetensors.torch import save_file


def weights(rows, columns, seed, dtype=torch.float16):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator) * 0.05
    values *= torch.rand(rows, 1, generator=generator) * 2 + 0.1
    return values.to(dtype)


def save(folder, tensors, config, decoded):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"quantization_config": config}))
    expected = {}
    for name, value in decoded.items():
        value = value.contiguous()
        data = value.view(torch.uint8 if value.element_size() == 1 else torch.int16 if value.element_size() == 2 else torch.int32)
        expected[name] = {
            "type": {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32"}[value.dtype],
            "shape": list(value.shape),
            "sha256": hashlib.sha256(data.numpy().tobytes()).hexdigest(),
        }
    (folder / "decoded.json").write_text(json.dumps(expected, indent=1))


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grid(weight, bits, group, symmetric):
    """Scale and zero of every group, as GPTQ's quantizer finds them."""
    out, inputs = weight.shape
    w = weight.float().reshape(out, inputs // group, group)
    low, high = w.amin(-1).clamp(max=0), w.amax(-1).clamp(min=0)
    if symmetric:
        high = torch.maximum(-low, high)
        low = -high
    scale = ((high - low) / (2**bits - 1)).half().float()
    zero = torch.full_like(scale, 2 ** (bits - 1)) if symmetric else (-low / scale).round().clamp(1, 2**bits - 1)
    return scale, zero


def gptq(output, source):
    """AutoGPTQ's QuantLinear: pack() writes, forward() of the identity decodes."""
    module = load(source / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py", "qlinear_cuda")
    shapes = {"a": (96, 160), "b": (128, 128)}
    for bits in (2, 3, 4, 8):
        for symmetric in (True, False):
            for order in (False, True):
                if (bits in (2, 8)) and symmetric != order:
                    continue
                tensors, decoded = {}, {}
                for seed, (name, (rows, columns)) in enumerate(shapes.items()):
                    weight = weights(rows, columns, seed)
                    group = 32
                    linear = torch.nn.Linear(columns, rows, bias=False, dtype=torch.float16)
                    linear.weight.data = weight
                    index = torch.arange(columns) // group
                    if order:
                        index = index[torch.randperm(columns, generator=torch.Generator().manual_seed(9))]
                    sort = torch.argsort(index, stable=True)
                    scale, zero = grid(weight[:, sort], bits, group, symmetric)
                    layer = module.QuantLinear(bits, group, columns, rows, False)
                    layer.pack(linear, scale, zero, index.int())
                    for part in ("qweight", "qzeros", "scales", "g_idx"):
                        value = getattr(layer, part)
                        tensors[f"{name}.{part}"] = value.half() if part == "scales" else value
                    layer.scales = layer.scales.half()
                    result = layer(torch.eye(columns, dtype=torch.float16))
                    decoded[f"{name}.weight"] = result.t()
                config = {"quant_method": "gptq", "bits": bits, "group_size": 32, "desc_act": order, "sym": symmetric}
                save(output / f"gptq-{bits}{'-sym' if symmetric else ''}{'-order' if order else ''}", tensors, config, decoded)


def gptqmodel(output, source):
    """Version 2: zeros as they are. Decoded by the package's own dequantize_weight()."""
    import ast

    text = (source / "gptqmodel/nn_modules/qlinear/__init__.py").read_text()
    wanted = {"dequantize_weight", "_dequantize_from_codes"}
    found = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and n.name in wanted]
    space = {"t": torch, "_torch_right_shift": torch.bitwise_right_shift, "_torch_left_shift": torch.bitwise_left_shift}
    for node in found:
        node.decorator_list = []
        exec(compile(ast.Module([node], []), "qlinear", "exec"), space)
    for bits in (2, 3, 4, 8):
        weight = weights(64, 192, 5)
        group = 64
        scale, zero = grid(weight, bits, group, False)
        q = (weight.float().reshape(64, -1, group) / scale[..., None] + zero[..., None]).round().clamp(0, 2**bits - 1)
        pack = lambda codes: pack_stream(codes, bits)
        layer = types.SimpleNamespace(bits=bits, maxq=2**bits - 1, planar=False, pack_factor=32 // bits)
        layer.dequant_dtype = torch.int16 if bits == 8 else torch.int8
        layer.qweight = pack(q.reshape(64, 192).int()).t().contiguous()
        layer.qzeros = pack(zero.t().int().contiguous())
        layer.scales = scale.t().half().contiguous()
        layer.g_idx = (torch.arange(192) // group).int()
        if bits == 3:
            wf = torch.tensor([[0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0], [0, 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31],
                               [0, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 0]], dtype=torch.int32).reshape(1, 3, 12)
        else:
            wf = torch.arange(0, 32, bits, dtype=torch.int32).unsqueeze(0)
        layer.wf_unsqueeze_zero, layer.wf_unsqueeze_neg_one = wf.unsqueeze(0), wf.unsqueeze(-1)
        layer._init_wf_unsqueeze_buffers = lambda: None
        layer._dequantize_from_codes = lambda w, z, num_itr: space["_dequantize_from_codes"](layer, w, z, num_itr)
        result = space["dequantize_weight"](layer)
        tensors = {f"a.{part}": getattr(layer, part) for part in ("qweight", "qzeros", "scales", "g_idx")}
        config = {"quant_method": "gptq", "checkpoint_format": "gptq_v2", "bits": bits, "group_size": group, "sym": False}
        save(output / f"gptq-v2-{bits}", tensors, config, {"a.weight": result.t()})


def pack_stream(codes, bits):
    """Rows of codes as little-endian streams of 32-bit words."""
    import numpy as np

    rows, columns = codes.shape
    flat = codes.numpy().astype(np.uint64)
    shifts = np.arange(bits, dtype=np.uint64)
    stream = ((flat[:, :, None] >> shifts) & 1).astype(np.uint8).reshape(rows, columns * bits)
    return torch.from_numpy(np.packbits(stream, axis=1, bitorder="little").view(np.int32).copy())


def autoawq(output, source):
    """AutoAWQ's GEMM and GEMV layers; GEMM decoded by its dequantize_gemm()."""
    for name in ("awq", "awq.utils", "awq.modules", "awq.modules.linear"):
        package = types.ModuleType(name)
        package.__path__ = [str(source / name.replace(".", "/"))]
        sys.modules[name] = package
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.modules.linear.gemv import WQLinear_GEMV
    from awq.utils.packing_utils import dequantize_gemm

    for version, layer_class in (("gemm", WQLinear_GEMM), ("gemv", WQLinear_GEMV)):
        for group in (32, 64, 128):
            tensors, decoded = {}, {}
            for seed, (rows, columns) in enumerate(((96, 128), (128, 384))):
                weight = weights(rows, columns, 20 + seed)
                scale, zero = grid(weight, 4, group, False)
                linear = torch.nn.Linear(columns, rows, bias=False, dtype=torch.float16)
                exact = (weight.float().reshape(rows, -1, group) / scale[..., None] + zero[..., None]).round().clamp(0, 15)
                linear.weight.data = ((exact - zero[..., None]) * scale[..., None]).reshape(rows, columns).half()
                if version == "gemm":
                    layer = layer_class.from_linear(linear, 4, group, False, scale.t().contiguous(), zero.t().contiguous())
                    result = dequantize_gemm(layer.qweight, layer.qzeros, layer.scales, 4, group).t()
                else:
                    layer = layer_class.from_linear(linear, 4, group, False, scale.half(), zero)
                    codes = (exact - zero[..., None]).half()
                    result = (codes * scale[..., None].half()).reshape(rows, columns)
                for part in ("qweight", "qzeros", "scales"):
                    tensors[f"m{seed}.{part}"] = getattr(layer, part)
                decoded[f"m{seed}.weight"] = result
            config = {"quant_method": "awq", "version": version, "bits": 4, "group_size": group, "zero_point": True}
            save(output / f"awq-{version}-{group}", tensors, config, decoded)


def bitsandbytes(output, source):
    # The package's kernel for CPUs decodes rows that are not whole blocks wrongly; odd ones take its plain code.
    import bitsandbytes.functional as F

    for kind in ("nf4", "fp4"):
        for nested in (False, True):
            for dtype in (torch.bfloat16, torch.float16, torch.float32):
                if dtype == torch.float32 and nested:
                    continue
                tensors, decoded = {}, {}
                for seed, shape in enumerate(((96, 128), (31, 37))):
                    weight = weights(*shape, 30 + seed, dtype)
                    packed, state = F.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=kind)
                    name = f"m{seed}.weight"
                    tensors[name] = packed
                    for key, value in state.as_dict(packed=True).items():
                        tensors[f"{name}.{key}"] = value
                    decoded[name] = F.dequantize_4bit(packed, state)
                config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": kind}
                save(output / f"bnb-{kind}-{str(dtype)[6:]}{'-double' if nested else ''}", tensors, config, decoded)
    weight = weights(96, 160, 40)
    codes, scales, _ = F.int8_vectorwise_quant(weight)
    result = F.int8_vectorwise_dequant(codes, scales)
    tensors = {"a.weight": codes, "a.SCB": scales, "a.weight_format": torch.tensor(0, dtype=torch.uint8)}
    save(output / "bnb-int8", tensors, {"quant_method": "bitsandbytes", "load_in_8bit": True}, {"a.weight": result.float()})


def compressed_tensors(output, source):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams, calculate_range

    def one(form, args, weight, zero_dtype=None):
        rows, columns = weight.shape
        args = QuantizationArgs(**args)
        scheme = QuantizationScheme(targets=["Linear"], weights=args, format=form)
        w = weight.float()
        strategy = getattr(args.strategy, "value", args.strategy)
        extra = {}
        if strategy in ("group", "tensor_group"):
            parts = w.reshape(rows, -1, args.group_size)
            low, high = parts.amin(-1), parts.amax(-1)
        elif strategy == "channel":
            low, high = w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
        elif strategy == "block":
            a, b = args.block_structure
            pad = torch.zeros(-(-rows // a) * a, -(-columns // b) * b)
            pad[:rows, :columns] = w
            parts = pad.reshape(pad.shape[0] // a, a, pad.shape[1] // b, b)
            low, high = parts.amin((1, 3)), parts.amax((1, 3))
        else:
            low, high = w.amin().reshape(1), w.amax().reshape(1)
        if strategy == "tensor_group":
            extra["weight_global_scale"] = (448 * 6 / w.abs().max()).reshape(1).float()
        scale, zero = calculate_qparams(low, high, args, global_scale=extra.get("weight_global_scale"))
        if scale.dtype == torch.float32 and strategy != "tensor_group":
            scale = scale.to(weight.dtype)
        state = {"weight": weight, "weight_scale": scale, **extra}
        if not args.symmetric:
            state["weight_zero_point"] = zero
        compressor = BaseCompressor.get_value_from_registry(form)
        packed = compressor.compress(dict(state), scheme)
        result = compressor.decompress(dict(packed), scheme)
        return packed, result["weight"], scheme

    integer = dict(type="int", dynamic=False)
    floating = dict(type="float", dynamic=False, num_bits=8, symmetric=True)
    cases = {
        f"ct-pack-{bits}{'' if symmetric else '-zero'}": ("pack-quantized", dict(integer, num_bits=bits, symmetric=symmetric, strategy="group", group_size=32))
        for bits in (2, 3, 4, 5, 6, 7, 8) for symmetric in (True, False)
    }
    cases |= {
        "ct-pack-channel": ("pack-quantized", dict(integer, num_bits=4, symmetric=True, strategy="channel")),
        "ct-int-channel": ("int-quantized", dict(integer, num_bits=8, symmetric=True, strategy="channel")),
        "ct-int-channel-zero": ("int-quantized", dict(integer, num_bits=8, symmetric=False, strategy="channel")),
        "ct-int-group": ("int-quantized", dict(integer, num_bits=8, symmetric=True, strategy="group", group_size=32)),
        "ct-naive": ("naive-quantized", dict(integer, num_bits=8, symmetric=True, strategy="tensor")),
        "ct-fp8-tensor": ("float-quantized", dict(floating, strategy="tensor")),
        "ct-fp8-channel": ("float-quantized", dict(floating, strategy="channel")),
        "ct-fp8-block": ("float-quantized", dict(floating, strategy="block", block_structure=[64, 32])),
        "ct-nvfp4": ("nvfp4-pack-quantized", dict(type="float", num_bits=4, symmetric=True, strategy="tensor_group", group_size=16, scale_dtype=torch.float8_e4m3fn, zp_dtype=torch.float8_e4m3fn)),
        "ct-mxfp4": ("mxfp4-pack-quantized", dict(type="float", num_bits=4, symmetric=True, strategy="group", group_size=32, scale_dtype=torch.uint8, zp_dtype=torch.uint8)),
        "ct-mxfp8": ("mxfp8-quantized", dict(type="float", num_bits=8, symmetric=True, strategy="group", group_size=32, scale_dtype=torch.uint8, zp_dtype=torch.uint8)),
    }
    for name, (form, args) in cases.items():
        try:
            packed, result, scheme = one(form, args, weights(96, 160 if "nvfp4" not in name else 192, 50, torch.bfloat16))
        except Exception as error:  # a version without this form
            print(name, "skipped:", repr(error)[:300])
            continue
        config = {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": json.loads(scheme.model_dump_json())}}
        save(output / name, {f"a.{k}": v for k, v in packed.items()}, config, {"a.weight": result})


def hqq(output, source):
    import hqq.core.quantize as core

    for bits in (8, 4, 3, 2, 1):
        for axis in (0, 1):
            tensors, decoded = {}, {}
            linear = torch.nn.Linear(128, 96, bias=False)
            linear.weight.data = weights(96, 128, 60, torch.float32)
            config = core.BaseQuantizeConfig(nbits=bits, group_size=64, axis=axis)
            layer = core.HQQLinear(linear, config, compute_dtype=torch.float16, device="cpu", del_orig=False)
            for key, value in layer.state_dict_keys_for(layer) if hasattr(layer, "state_dict_keys_for") else layer.state_dict().items():
                if isinstance(value, torch.Tensor):
                    tensors[f"a.{key}"] = value
            decoded["a.weight"] = layer.dequantize()
            save(output / f"hqq-{bits}-axis{axis}", tensors, {"quant_method": "hqq", "quant_config": {}}, decoded)


if __name__ == "__main__":
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None)
