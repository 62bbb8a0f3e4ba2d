// F9: any finite values and weights, encoded and decoded again by every instruction set: all must
// give what the definitions give, bit for bit.
//
// Byte 0 picks the type, byte 1 importance and the form of the numbers; then values, bfloat16 or
// float, repeated to fill two blocks and a row of at least 64.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "quantize/isa.hpp"

namespace {

using namespace quantize;

template <class T>
float number(const std::uint8_t* data, std::size_t size, std::size_t index) {
  T bits = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bits = static_cast<T>(bits | static_cast<T>(data[(index * sizeof(T) + i) % size]) << (8 * i));
  }
  const float value =
      std::bit_cast<float>(static_cast<std::uint32_t>(bits) << (32 - 8 * sizeof(T)));
  return std::isfinite(value) ? value : 0.0F;
}

[[noreturn]] void differ(const Quantizer& quantizer, std::string_view isa, const char* what) {
  std::fprintf(stderr, "%s %s on %s differs from the definition\n",
               std::string(info(quantizer.type).name).c_str(), what, std::string(isa).c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const auto definitions = quantizers_of("scalar");
  const std::size_t which = data[0] % definitions.size();
  const Quantizer& definition = definitions[which];
  if (!definition.encode) return 0;
  const bool weighted = definition.importance == ImportanceUse::required ||
                        (definition.importance == ImportanceUse::optional && (data[1] & 1) != 0);
  const bool floats = (data[1] & 2) != 0;
  const std::size_t block = info(definition.type).block_values;
  const std::size_t columns = std::max<std::size_t>(2 * block, 64);
  std::vector<float> values(3 * columns);
  std::vector<float> importance(columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = floats ? number<std::uint32_t>(data + 2, size - 2, i)
                       : number<std::uint16_t>(data + 2, size - 2, i);
  }
  for (std::size_t i = 0; i < columns; ++i) {
    importance[i] = std::fabs(number<std::uint16_t>(data + 2, size - 2, i + 7));
  }
  EncodeInput input;
  input.values = values.data();
  input.rows = 3;
  input.row_values = columns;
  input.importance = weighted ? importance.data() : nullptr;
  input.reference_quirks = (data[1] & 4) != 0;
  const std::size_t bytes = stored_bytes(definition.type, values.size());
  std::vector<std::byte> expected(bytes);
  std::vector<float> expected_values(values.size());
  definition.encode(input, expected.data());
  // Where a scale overflows, any bytes will do: nobody writes them.
  if (definition.first_invalid(expected.data(), bytes / info(definition.type).block_bytes))
    return 0;
  definition.decode(expected.data(), values.size(), expected_values.data());
  for (const Isa& isa : isas()) {
    if (!isa.usable) continue;
    const Quantizer& kernel = quantizers_of(isa.name)[which];
    std::vector<std::byte> actual(bytes);
    kernel.encode(input, actual.data());
    if (actual != expected) differ(kernel, isa.name, weighted ? "weighted" : "plain");
    std::vector<float> actual_values(values.size());
    kernel.decode(actual.data(), values.size(), actual_values.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool both_nan = std::isnan(actual_values[i]) && std::isnan(expected_values[i]);
      if (!both_nan && std::bit_cast<std::uint32_t>(actual_values[i]) !=
                           std::bit_cast<std::uint32_t>(expected_values[i])) {
        differ(kernel, isa.name, "decoded");
      }
    }
  }
  return 0;
}
