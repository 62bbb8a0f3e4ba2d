// Which known names a mistyped one may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quantize {

// Those that the fewest single-character edits lead to, at most two; else those that begin with the
// name. In their order, separated by ", ".
std::string near_names(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace quantize
