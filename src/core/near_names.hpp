// Which known names a mistyped one may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quantize {

// Those at most two single-character edits away, in their order, separated by ", ".
std::string near_names(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace quantize
