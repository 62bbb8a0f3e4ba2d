"""Weights of tiny models from an integer generator, and the safetensors files that hold them. The same
generator is in tests/support/golden_model.cpp."""
import json

import numpy as np

MULTIPLIER, INCREMENT = np.uint64(6364136223846793005), np.uint64(1442695040888963407)


class Weights:
    """A 64-bit linear congruential generator; values are multiples of 1/8192 in (-0.25, 0.25), or bytes."""

    def __init__(self, seed):
        self.state = np.uint64(seed)

    def take(self, shape, dtype, step=1):
        """step: only multiples of step/8192."""
        with np.errstate(over="ignore"):  # state n is M^n * state + I * (1 + M + ... + M^(n-1)), modulo 2^64
            powers = np.cumprod(np.full(int(np.prod(shape)), MULTIPLIER, np.uint64))
            sums = np.concatenate([np.ones(1, np.uint64), powers[:-1]]).cumsum(dtype=np.uint64)
            states = powers * self.state + INCREMENT * sums
        self.state = states[-1]
        drawn = (states >> np.uint64(40)).astype(np.int64).reshape(shape)
        if dtype == "U8":
            return (drawn % 256).astype(np.uint8)
        values = (np.trunc((drawn % 4095 - 2047) / step) * step / 8192 + 0.0).astype(np.float32)  # no negative zero
        if dtype == "BF16":  # by leaving bits out
            return (values.view(np.uint32) >> 16).astype(np.uint16)
        return values.astype({"F16": np.float16, "F32": np.float32}[dtype])


def write_safetensors(path, tensors):
    """tensors: {name: (values, dtype)}"""
    header, data, at = {}, [], 0
    for name, (values, dtype) in tensors.items():
        raw = values.tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))
