// F3: any bytes as JSON, against another reader of JSON: what ours accepts as strict JSON means the
// same to the other, and what ours refuses for its syntax the other refuses too.
#include <cmath>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "core/json.hpp"

namespace {

using Other = nlohmann::ordered_json;
using quantize::Json;
using quantize::JsonKind;

void require(bool holds) {
  if (!holds) std::abort();
}

void compare_scalar(Json value, const Other& other) {
  switch (value.kind()) {
    case JsonKind::null:
      return require(other.is_null());
    case JsonKind::boolean:
      return require(other.is_boolean() && other.get<bool>() == value.boolean());
    case JsonKind::string:
      return require(other.is_string() && other.get_ref<const std::string&>() == value.string());
    default:
      break;
  }
  require(value.is_number() && other.is_number());
  if (const auto u = value.as_u64(); u && other.is_number_unsigned()) {
    require(other.get<std::uint64_t>() == *u);
  } else if (const auto i = value.as_i64(); i && other.is_number_integer()) {
    require(other.get<std::int64_t>() == *i);
  } else {
    const auto d = value.as_double();
    require(d && other.get<double>() == *d);
  }
}

// Depth is bounded by the reader's rules, so that recursion is sound here.
void compare(Json value, const Other& other) {
  if (value.is_object()) {
    require(other.is_object() && other.size() == value.size());
    for (const Json child : value.children()) {
      const auto found = value.find(child.key());
      require(found && found->offset() == child.offset());
      const auto there = other.find(std::string(child.key()));
      require(there != other.end());
      compare(child, *there);
    }
  } else if (value.is_array()) {
    require(other.is_array() && other.size() == value.size());
    auto there = other.begin();
    for (const Json child : value.children()) compare(child, *there++);
  } else {
    compare_scalar(value, other);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quantize;
  const std::string text(data, data + size);
  JsonRules rules;
  rules.allow_python_constants = false;
  std::unique_ptr<JsonDocument> document;
  try {
    Warnings warnings;
    document = JsonDocument::parse(text, "fuzz", rules, &warnings);
  } catch (const Error& e) {
    require(e.problem().offset && *e.problem().offset <= size);
    if (e.code() == ErrorCode::JS01) require(!Other::accept(text));
    return 0;
  }
  // Numbers beyond a double are legal here and an error there.
  const Other other = Other::parse(text, nullptr, false);
  if (!other.is_discarded()) compare(document->root(), other);

  rules.allow_python_constants = true;
  rules.lone_surrogates_are_errors = false;
  rules.duplicates_are_errors = true;
  try {
    static_cast<void>(JsonDocument::parse(text, "fuzz", rules, nullptr));
  } catch (const Error& e) {
    require(e.code() == ErrorCode::JS04);
  }
  return 0;
}
