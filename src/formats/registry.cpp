// What a path is, by content: a directory, or the first row of a table that recognises the file.
#include <algorithm>
#include <array>

#include <sys/stat.h>

#include "core/input_file.hpp"
#include "formats/readers.hpp"
#include "formats/safetensors/header.hpp"

namespace quantize {
namespace {

using Head = std::span<const std::byte>;

constexpr std::size_t kHeadBytes = 9;

std::uint64_t first_number(Head head) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = (value << 8) | std::to_integer<std::uint64_t>(head[i]);
  return value;
}
bool is_space(std::byte b) noexcept {
  return b == std::byte{' '} || b == std::byte{'\t'} || b == std::byte{'\n'} ||
         b == std::byte{'\r'};
}

bool looks_like_gguf(Head head, std::uint64_t) noexcept {
  constexpr std::string_view magics[] = {"GGUF", "FUGG"};  // reversed: refused by name
  return std::any_of(std::begin(magics), std::end(magics), [head](std::string_view magic) {
    return head.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), head.begin(),
                      [](char c, std::byte b) { return static_cast<std::byte>(c) == b; });
  });
}
bool looks_like_safetensors(Head head, std::uint64_t file_bytes) noexcept {
  return head.size() >= kHeadBytes && first_number(head) <= safetensors::kMaxHeaderBytes &&
         first_number(head) <= file_bytes - safetensors::kLengthBytes &&
         (head[8] == std::byte{'{'} || is_space(head[8]));
}
bool looks_like_index(Head head, std::uint64_t) noexcept {
  const auto first = std::find_if_not(head.begin(), head.end(), is_space);
  return first != head.end() && *first == std::byte{'{'};
}

struct Format {
  InputKind kind;
  std::string_view suffix;
  std::string_view name;
  bool (*looks_like)(Head head, std::uint64_t file_bytes) noexcept;
};

constexpr Format kFormats[] = {
    {InputKind::gguf, ".gguf", "GGUF", looks_like_gguf},
    {InputKind::safetensors, ".safetensors", "safetensors", looks_like_safetensors},
    {InputKind::weight_index, ".index.json", "a weight index", looks_like_index},
};

bool has_suffix(const std::string& path, std::string_view suffix) noexcept {
  return path.size() >= suffix.size() &&
         path.compare(path.size() - suffix.size(), suffix.size(), suffix) == 0;
}

}  // namespace

InputKind detect_input(const std::string& path, Warnings& warnings) {
  struct stat status {};
  if (path.find('\0') == std::string::npos && ::stat(path.c_str(), &status) == 0 &&
      S_ISDIR(status.st_mode)) {
    return InputKind::directory;
  }
  const InputFile file(path);
  std::array<std::byte, kHeadBytes> buffer{};
  const auto head = std::span(buffer).first(
      static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kHeadBytes)));
  file.read(0, head);

  const auto promised = std::find_if(std::begin(kFormats), std::end(kFormats),
                                     [&](const Format& f) { return has_suffix(path, f.suffix); });
  const auto content = std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& f) {
    return f.looks_like(head, file.size());
  });
  // Neither: the safetensors reader names what the file is, or why it is none.
  if (content == std::end(kFormats)) {
    return promised == std::end(kFormats) ? InputKind::safetensors : promised->kind;
  }
  if (promised != std::end(kFormats) && promised != content) {
    const ErrorCode code = promised->kind == InputKind::gguf ? ErrorCode::GG01 : ErrorCode::ST07;
    warnings.add(code, path, {},
                 "the content is " + std::string(content->name) + ", whatever the name says");
  }
  return content->kind;
}

}  // namespace quantize
