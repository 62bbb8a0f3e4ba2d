// Ordered, typed key-value metadata, exactly as GGUF can carry it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace quantize {

// The alternatives stand in the order of GGUF's type ids, so that index() is the id.
enum class MetaType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

// Index 9 (an array of arrays) does not exist in files and is never held.
using MetaArray =
    std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                 std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                 std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using MetaValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                               std::uint32_t, std::int32_t, float, bool, std::string, MetaArray,
                               std::uint64_t, std::int64_t, double>;

MetaType meta_type(const MetaValue& value) noexcept;
MetaType element_type(const MetaArray& array) noexcept;
std::uint64_t element_count(const MetaArray& array) noexcept;
std::string_view meta_type_name(MetaType type) noexcept;  // "u32", "str", "arr" ...

class Metadata {
 public:
  using Entry = std::pair<std::string, MetaValue>;

  const std::vector<Entry>& entries() const noexcept { return entries_; }
  bool empty() const noexcept { return entries_.empty(); }
  const MetaValue* find(std::string_view key) const noexcept;
  template <class T>
  const T* get(std::string_view key) const noexcept {  // null if absent or of another type
    const MetaValue* value = find(key);
    return value ? std::get_if<T>(value) : nullptr;
  }

  void append(std::string key, MetaValue value) {
    entries_.emplace_back(std::move(key), std::move(value));
  }
  void set(std::string_view key, MetaValue value);         // in place, or at the end if new
  void set_at_end(std::string_view key, MetaValue value);  // an older entry is removed first
  void erase(std::string_view key);

 private:
  std::vector<Entry> entries_;
};

}  // namespace quantize
