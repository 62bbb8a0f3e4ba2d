#!/usr/bin/env python3
"""Makes tests/golden/convert/q4_k_m.json: what the reference quantizer makes, as Q4_K_M, of what the reference
converter writes for the models of tools/golden/convert/models. Of each file its SHA-256, and of each tensor
that is not F32 "name type hash", the first 16 digits of its SHA-256.

usage: quantized_families.py CONVERTER LIBRARIES [MODEL ...]

CONVERTER as for families.py, LIBRARIES the folder of the official package with libllama. Models that the
library does not know or refuses are named at the end, and have no entry."""
import ctypes
import hashlib
import json
import multiprocessing
import os
import pathlib
import sys
import tempfile

import families

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "plans"))
from make import Parameters  # noqa: E402

LIBRARIES, OUT = pathlib.Path(sys.argv[2]), families.GOLDEN / "convert/q4_k_m.json"
Q4_K_M = 15


def quantize(source, target):
    """In a process of its own: the library ends the program where it is at a loss."""
    for name in ("libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"):
        llama = ctypes.CDLL(str(LIBRARIES / name), mode=ctypes.RTLD_GLOBAL)
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *line: None)
    llama.llama_log_set(quiet, None)
    llama.llama_model_quantize_default_params.restype = Parameters
    parameters = llama.llama_model_quantize_default_params()
    parameters.file_type, parameters.threads = Q4_K_M, 2
    os._exit(llama.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters)))


def describe(path):
    tensors = []
    for t in families.gguf.GGUFReader(path).tensors:
        if t.tensor_type.name != "F32":
            tensors.append(f"{t.name} {t.tensor_type.name.lower()} {hashlib.sha256(t.data.tobytes()).hexdigest()[:16]}")
    return {"file": hashlib.sha256(path.read_bytes()).hexdigest(), "tensors": tensors}


def main():
    golden = json.loads(OUT.read_text()) if OUT.exists() else {}
    failed = []
    for name, description in families.described_models(sys.argv[3:]).items():
        if description.get("part"):
            continue
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            source, target = families.convert(name, description, work), work / "quantized.gguf"
            process = multiprocessing.Process(target=quantize, args=(source, target))
            process.start()
            process.join()
            golden.pop(name, None)
            if process.exitcode == 0:
                golden[name] = describe(target)
            else:
                failed.append(name)
    lines = [f"{json.dumps(name)}: {json.dumps(golden[name])}" for name in sorted(golden)]
    OUT.write_text("{" + ",\n".join(lines) + "}\n")
    print("refused:", *failed)


if __name__ == "__main__":
    main()
