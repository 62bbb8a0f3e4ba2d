// The reader of every JSON text that comes from outside (plan and recipe files excepted).
// Iterative, bounded, with byte offsets, so that every complaint can name its place.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/error.hpp"

namespace quantize {

enum class JsonKind : std::uint8_t { null, boolean, number, string, object, array };

// Which codes a text's faults get, and what is tolerated.
struct JsonRules {
  ErrorCode syntax = ErrorCode::JS01;
  ErrorCode encoding = ErrorCode::JS02;  // not UTF-8, byte order mark, NUL
  ErrorCode depth = ErrorCode::JS03;
  ErrorCode duplicate = ErrorCode::JS04;
  ErrorCode number = ErrorCode::JS05;      // not as JSON writes numbers, or absurdly long
  ErrorCode surrogate = ErrorCode::JS02;   // lone surrogate in a string
  ErrorCode trailing = ErrorCode::JS01;    // bytes after the value
  bool duplicates_are_errors = false;      // else: the last wins, with a warning
  bool allow_python_constants = true;      // NaN, Infinity, -Infinity parse as numbers
  bool lone_surrogates_are_errors = true;  // false: kept as three bytes that are not UTF-8
  bool nul_is_encoding = true;             // false: a NUL is a byte like any wrong one
  unsigned max_depth = 64;
  std::uint64_t base_offset = 0;  // added to every offset (safetensors: 8)
  // Refines the code of a duplicate key or malformed number by its place: the depth of the object
  // around it (root: 1), that object's own key, and the key that is duplicate or nearest.
  ErrorCode (*refine)(ErrorCode code, unsigned depth, std::string_view object_key,
                      std::string_view key) = nullptr;
};

class JsonDocument;

// A cheap handle to one value of a document, which must outlive it.
class Json {
 public:
  Json() = default;
  JsonKind kind() const noexcept;
  bool is_null() const noexcept { return kind() == JsonKind::null; }
  bool is_object() const noexcept { return kind() == JsonKind::object; }
  bool is_array() const noexcept { return kind() == JsonKind::array; }
  bool is_string() const noexcept { return kind() == JsonKind::string; }
  bool is_number() const noexcept { return kind() == JsonKind::number; }
  bool is_boolean() const noexcept { return kind() == JsonKind::boolean; }

  std::uint64_t offset() const noexcept;     // of the value's first byte (base_offset included)
  bool boolean() const noexcept;             // precondition: is_boolean()
  std::string_view string() const noexcept;  // decoded; precondition: is_string()
  std::string_view number_text() const noexcept;  // as written; precondition: is_number()
  bool is_integer() const noexcept;  // digits only, with an optional minus; no fraction or exponent
  std::optional<std::int64_t> as_i64() const noexcept;  // integers that fit
  std::optional<std::uint64_t> as_u64() const noexcept;
  std::optional<double> as_double() const noexcept;  // finite numbers, correctly rounded

  // Objects and arrays; 0 and empty for other kinds. Of entries with one key, the last is the only
  // one that exists here. find() takes O(log n), size() walks the children.
  // one that exists here. find() takes O(log n), size() walks the children.
  std::size_t size() const noexcept;
  std::optional<Json> find(std::string_view key) const;  // objects: the last entry of that name
  Json first_child() const noexcept;                     // invalid handle if none
  Json next_sibling() const noexcept;                    // in file order; invalid handle at the end
  explicit operator bool() const noexcept { return document_ != nullptr; }
  // The key of a member of an object, and where it stands.
  std::string_view key() const noexcept;
  std::uint64_t key_offset() const noexcept;
  const JsonDocument* document() const noexcept { return document_; }  // that it is a part of
  // "/a/0/b": for messages.
  std::string pointer() const;

  // for (Json child : value.children())
  struct Iterator;
  struct Range;
  Range children() const noexcept;

 private:
  friend class JsonDocument;
  Json(const JsonDocument* document, std::uint32_t node) : document_(document), node_(node) {}
  const JsonDocument* document_ = nullptr;
  std::uint32_t node_ = 0;
};

struct Json::Iterator {
  Json value;
  Json operator*() const noexcept { return value; }
  Iterator& operator++() noexcept {
    value = value.next_sibling();
    return *this;
  }
  bool operator!=(const Iterator& other) const noexcept { return bool(value) != bool(other.value); }
};
struct Json::Range {
  Json first;
  Iterator begin() const noexcept { return {first}; }
  Iterator end() const noexcept { return {}; }
};
inline Json::Range Json::children() const noexcept { return {first_child()}; }

// Owns the text and a flat array of nodes (together at most 6 x the text).
class JsonDocument {
 public:
  // Throws Error with the codes of `rules`; `file` names the text in messages.
  static std::unique_ptr<JsonDocument> parse(std::string text, std::string file,
                                             const JsonRules& rules, Warnings* warnings);
  ~JsonDocument();
  Json root() const noexcept;
  const std::string& file() const noexcept;

  struct Data;  // json.cpp

 private:
  friend class Json;
  JsonDocument();
  std::unique_ptr<Data> data_;
};

}  // namespace quantize
