"""How golden data writes down a key of a GGUF file: [name, type, value]."""
import hashlib
import sys

import numpy as np

TYPE_NAMES = {0: "u8", 1: "i8", 2: "u16", 3: "i16", 4: "u32", 5: "i32", 6: "f32", 7: "bool", 8: "str",
              10: "u64", 11: "i64", 12: "f64"}
LONGEST_ARRAY = 16


def describe_field(field):
    kind = field.types[0]
    if kind != 9:
        value = field.contents()
        if kind == 6:
            value = "%08x" % np.float32(value).view(np.uint32)
        return [field.name, TYPE_NAMES[kind], value]
    element = field.types[-1]
    values = field.contents()
    if element == 6:
        values = ["%08x" % np.float32(v).view(np.uint32) for v in values]
    if len(values) > LONGEST_ARRAY:
        digest = hashlib.sha256()
        for i in field.data:
            # Strings with their length, so that moving a boundary changes the digest.
            if element == 8:
                digest.update(len(bytes(field.parts[i])).to_bytes(8, "little"))
            digest.update(bytes(field.parts[i]))
        values = {"count": len(values), "sha256": digest.hexdigest()}
    return [field.name, "arr " + TYPE_NAMES[element], values]


def use_converter(converter):
    """The reference's GGUF library, from beside its converter."""
    sys.path.insert(0, str(converter.parent / "gguf-py"))
    import gguf
    return gguf
