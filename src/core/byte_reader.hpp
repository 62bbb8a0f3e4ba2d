// The bounds-checked little-endian cursor: the only way that fields of a binary header are read.
// It knows where the bytes end, fetches them in windows, and every failure names the place. Bounds
// are tested by subtraction from what is left, before anything is allocated.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "quantize/error.hpp"

namespace quantize {

// Reads exactly into.size() bytes at an offset, or throws. Never called beyond the end.
using FetchBytes = std::function<void(std::uint64_t offset, std::span<std::byte> into)>;

// Bytes in memory, which must outlive the function.
inline FetchBytes fetch_from(std::span<const std::byte> bytes) {
  return [bytes](std::uint64_t offset, std::span<std::byte> into) {
    if (!into.empty()) std::memcpy(into.data(), bytes.data() + offset, into.size());
  };
}

class ByteReader {
 public:
  // `file` names the bytes in messages; `too_short` is the code for bytes that end inside a field.
  ByteReader(std::string file, std::uint64_t size, FetchBytes fetch, ErrorCode too_short)
      : file_(std::move(file)), size_(size), fetch_(std::move(fetch)), too_short_(too_short) {}

  const std::string& file() const noexcept { return file_; }
  std::uint64_t size() const noexcept { return size_; }
  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t left() const noexcept { return size_ - position_; }

  // A number of 1 to 8 bytes; bool is not one (its bytes can be wrong).
  template <class T>
  T number() {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    std::byte raw[sizeof(T)];
    bytes(raw);
    std::uint64_t bits = 0;
    for (std::size_t i = sizeof(T); i-- > 0;)
      bits = (bits << 8) | std::to_integer<unsigned>(raw[i]);
    if constexpr (std::is_same_v<T, float>) {
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    } else if constexpr (std::is_same_v<T, double>) {
      return std::bit_cast<double>(bits);
    } else {
      return static_cast<T>(bits);
    }
  }

  // `length` bytes; the caller has compared the length with left() under its own code.
  std::string text(std::uint64_t length) {
    require(length);
    std::string out(length, '\0');
    bytes(std::as_writable_bytes(std::span(out.data(), out.size())));
    return out;
  }

  void bytes(std::span<std::byte> into) {
    require(into.size());
    while (!into.empty()) {
      const std::uint64_t in_window = position_ - window_start_;
      if (position_ < window_start_ || in_window >= window_.size()) {
        if (into.size() >= kWindow) {  // long values go where they belong at once
          fetch_(position_, into);
          position_ += into.size();
          return;
        }
        fill();
        continue;
      }
      const std::size_t some = std::min<std::size_t>(into.size(), window_.size() - in_window);
      std::memcpy(into.data(), window_.data() + in_window, some);
      position_ += some;
      into = into.subspan(some);
    }
  }

  void skip(std::uint64_t count) {
    require(count);
    position_ += count;
  }

 private:
  static constexpr std::size_t kWindow = std::size_t{256} << 10;

  void require(std::uint64_t count) const {
    if (count > left()) {
      fail(too_short_, file_, size_,
           "the file ends inside a field that begins at byte " + std::to_string(position_),
           std::to_string(left()) + " bytes", std::to_string(count));
    }
  }
  void fill() {
    window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kWindow, left())));
    fetch_(position_, window_);
    window_start_ = position_;
  }

  std::string file_;
  std::uint64_t size_ = 0;
  FetchBytes fetch_;
  ErrorCode too_short_;
  std::uint64_t position_ = 0;
  std::vector<std::byte> window_;
  std::uint64_t window_start_ = 0;
};

}  // namespace quantize
