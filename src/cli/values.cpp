#include "values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>

#include "quantize/error.hpp"

namespace quantize::cli {
namespace {

template <class Number>
std::optional<Number> to_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

[[noreturn]] void bad(ErrorCode code, std::string_view option, std::string_view found,
                      std::string allowed) {
  fail(code, "", {}, std::string(option), std::string(found), std::move(allowed));
}

}  // namespace

std::uint64_t parse_count(std::string_view option, std::string_view text, std::uint64_t low,
                          std::uint64_t high) {
  const auto number = to_number<std::uint64_t>(text);
  if (!number || *number < low || *number > high) {
    bad(ErrorCode::USE03, option, text.empty() ? "nothing" : text,
        std::to_string(low) + " to " + std::to_string(high));
  }
  return *number;
}

std::uint64_t parse_size(std::string_view option, std::string_view text) {
  constexpr std::string_view kUnits = "KMGT";
  const std::string_view whole = text;
  std::uint64_t base = 1000;
  if (!text.empty() && text.back() == 'B') text.remove_suffix(1);
  if (!text.empty() && text.back() == 'i') {
    base = 1024;
    text.remove_suffix(1);
  }
  std::uint64_t unit = 1;
  if (!text.empty()) {
    const char letter = text.back() >= 'a' ? static_cast<char>(text.back() - 32) : text.back();
    const std::size_t power = kUnits.find(letter);
    if (power != std::string_view::npos) {
      for (std::size_t i = 0; i <= power; ++i) unit *= base;
      text.remove_suffix(1);
    } else if (base == 1024) {
      text = {};  // "5i" is no size
    }
  }
  const auto number = to_number<std::uint64_t>(text);
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  if (!number || *number == 0 || *number > kMost / unit) {
    bad(ErrorCode::USE03, option, whole.empty() ? "nothing" : whole, "a size like 45G or 512Mi");
  }
  return *number * unit;
}

DType parse_type(std::string_view option, std::string_view text) {
  const auto type = type_from_name(text);
  if (!type || info(*type).gguf_id < 0) {
    bad(ErrorCode::USE04, option, text.empty() ? "nothing" : text, "see `quantize types`");
  }
  return *type;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

TensorTypeRule parse_rule(std::string_view option, std::string_view text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) {
    bad(ErrorCode::USE04, option, text.empty() ? "nothing" : text, "PATTERN=TYPE");
  }
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

AdapterOption parse_adapter(std::string_view option, std::string_view text) {
  AdapterOption adapter;
  if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    const auto scale = to_number<double>(text.substr(colon + 1));
    if (scale && std::isfinite(*scale)) {
      adapter.scale = *scale;
      text = text.substr(0, colon);
    }
  }
  if (text.empty()) bad(ErrorCode::USE06, option, "nothing", "DIR or DIR:SCALE");
  adapter.path = std::string(text);
  return adapter;
}

std::pair<std::string, MetaValue> parse_override(std::string_view text) {
  constexpr std::string_view kOption = "--override-kv";
  constexpr std::size_t kMaxLength = 127;
  const std::size_t equals = text.find('=');
  const std::size_t colon = equals == std::string_view::npos ? equals : text.find(':', equals);
  if (colon == std::string_view::npos || equals == 0) {
    bad(ErrorCode::USE04, kOption, text, "KEY=TYPE:VALUE");
  }
  const std::string key(text.substr(0, equals));
  const std::string_view type = text.substr(equals + 1, colon - equals - 1);
  const std::string_view value = text.substr(colon + 1);
  if (key.size() > kMaxLength) bad(ErrorCode::USE04, kOption, key, "keys of at most 127 bytes");
  if (type == "int") {
    const auto number = to_number<std::int64_t>(value);
    constexpr std::int64_t kMost = 0xFFFFFFFF;
    if (!number || *number > kMost || *number < -kMost) {
      bad(ErrorCode::USE03, kOption, value, "an integer of 32 bits");
    }
    return {key, static_cast<std::uint32_t>(*number < 0 ? -*number : *number)};
  }
  if (type == "float") {
    const auto number = to_number<double>(value);
    if (!number) bad(ErrorCode::USE03, kOption, value, "a number");
    return {key, static_cast<float>(*number)};
  }
  if (type == "bool") {
    if (value != "true" && value != "false") bad(ErrorCode::USE04, kOption, value, "true or false");
    return {key, value == "true"};
  }
  if (type == "str") {
    if (value.size() > kMaxLength) bad(ErrorCode::USE04, kOption, value, "at most 127 bytes");
    return {key, std::string(value)};
  }
  bad(ErrorCode::USE04, kOption, type, "int, float, bool or str");
}

std::vector<TensorTypeRule> read_rules(const std::string& path) {
  constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorCode::IO01, path, {}, "cannot open the recipe");
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) fail(ErrorCode::IO02, path, {}, "cannot read the recipe");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMaxBytes) fail(ErrorCode::USE04, path, {}, "a recipe has at most 1 MiB");

  constexpr std::string_view kBlanks = " \t\r";
  std::vector<TensorTypeRule> rules;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line(text.data() + at, end - at);
    line = line.substr(0, line.find('#'));
    for (std::size_t word = 0; (word = line.find_first_not_of(kBlanks, word)) != line.npos;) {
      const std::size_t stop = std::min(line.find_first_of(kBlanks, word), line.size());
      std::string_view rule = line.substr(word, stop - word);
      const bool optional = rule.back() == '?';
      if (optional) rule.remove_suffix(1);
      rules.push_back(parse_rule(path, rule));
      rules.back().may_match_nothing = optional;
      word = stop;
    }
    at = end + 1;
  }
  return rules;
}

}  // namespace quantize::cli
