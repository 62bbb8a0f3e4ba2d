// Prints what a file holds: header, metadata, tensors; escaped text or JSON.
#pragma once

#include <iosfwd>

#include "quantize/source.hpp"

namespace quantize {

struct InspectOptions {
  bool json = false;
  bool full_values = false;  // long strings and arrays in full instead of size and digest
};

void write_inspection(const Source& source, const InspectOptions& options, std::ostream& out);

}  // namespace quantize
