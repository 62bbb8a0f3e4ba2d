// Where in an input file a value of a planned tensor is stored, for messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "convert/value.hpp"

namespace quantize {

struct Place {
  std::string file;
  std::optional<std::uint64_t> offset;  // empty for values that stand in no file
};

// The block that holds value `index` (row-major) of `value`.
Place locate(const ValueNode& value, const Source& source, std::uint64_t index);

}  // namespace quantize
