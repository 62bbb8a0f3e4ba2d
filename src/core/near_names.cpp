#include "quantize/near_names.hpp"

#include <algorithm>
#include <cstddef>

namespace quantize {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string near_names(std::string_view name, const std::vector<std::string_view>& known) {
  constexpr std::size_t kLongest = 32, kEdits = 2, kPrefix = 2;
  std::string list;
  if (name.size() > kLongest) return list;
  std::size_t nearest = kEdits;
  for (const std::string_view candidate : known)
    nearest = std::min(nearest, edit_distance(name, candidate));
  const auto take = [&](const auto& fits) {
    for (const std::string_view candidate : known)
      if (fits(candidate)) list += (list.empty() ? "" : ", ") + std::string(candidate);
  };
  take([&](std::string_view candidate) { return edit_distance(name, candidate) == nearest; });
  if (list.empty() && name.size() >= kPrefix)
    take([&](std::string_view candidate) { return candidate.substr(0, name.size()) == name; });
  return list;
}

}  // namespace quantize
