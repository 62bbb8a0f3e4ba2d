#include "formats/familiar.hpp"

#include <algorithm>
#include <string>

namespace quantize {
namespace {

using namespace std::string_view_literals;

struct Start {
  std::string_view bytes;  // lower case; letters of the file are compared in any case
  std::string_view kind;
};

constexpr Start kStarts[] = {
    {"gguf"sv, "a GGUF file"},
    {"version https://git-lfs"sv, "a Git LFS pointer: the weights themselves were not downloaded"},
    {"<!doctype html"sv, "an HTML page, not a download"},
    {"<html"sv, "an HTML page, not a download"},
    {"pk\x03\x04"sv, "a zip archive (PyTorch checkpoints are that): pickle files are never read"},
    {"\x80\x02"sv, "a Python pickle: pickle files are never read"},
    {"\x80\x03"sv, "a Python pickle: pickle files are never read"},
    {"\x80\x04"sv, "a Python pickle: pickle files are never read"},
    {"\x80\x05"sv, "a Python pickle: pickle files are never read"},
    {"lmgg"sv, "an older ggml file: convert the original model again"},
    {"fmgg"sv, "an older ggml file: convert the original model again"},
    {"tjgg"sv, "an older ggml file: convert the original model again"},
    {"\x1f\x8b"sv, "a gzip archive"},
    {"{"sv, "a JSON file: name the model's directory, or a weight index"},
};

char lower(std::byte b) noexcept {
  const char c = static_cast<char>(b);
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::string_view familiar_kind(std::span<const std::byte> head) noexcept {
  if (head.empty()) return "an empty file";
  // A length and a JSON object: before the pickles, because a length can begin like one of them.
  if (head.size() > 8 && head[8] == std::byte{'{'} && head[6] == std::byte{} &&
      head[7] == std::byte{}) {
    return "a safetensors file";
  }
  for (const Start& start : kStarts) {
    if (head.size() >= start.bytes.size() &&
        std::equal(start.bytes.begin(), start.bytes.end(), head.begin(),
                   [](char expected, std::byte b) { return expected == lower(b); })) {
      return start.kind;
    }
  }
  if (std::all_of(head.begin(), head.end(), [](std::byte b) { return b == std::byte{}; })) {
    return "all zeros at its start: an interrupted download or write";
  }
  return {};
}

}  // namespace quantize
