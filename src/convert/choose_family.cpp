#include "convert/choose_family.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/directory.hpp"

namespace quantize {
namespace {

constexpr std::size_t kNearest = 5;  // of the classes that a message names
constexpr std::size_t kLongestClass = 100;
constexpr std::size_t kOrdinaryEnding = 11;  // "ForCausalLM"
constexpr std::uint64_t kMaxFamilyBytes = std::uint64_t{1} << 20;

std::size_t common_run(std::string_view a, std::string_view b) {
  a = a.substr(0, kLongestClass);
  std::vector<std::size_t> row(b.size() + 1);
  std::size_t longest = 0;
  for (const char c : a)
    for (std::size_t j = b.size(); j > 0; --j) {
      row[j] = c == b[j - 1] ? row[j - 1] + 1 : 0;
      // What nearly every name ends with says nothing.
      if (j <= b.size() - std::min(b.size(), kOrdinaryEnding)) longest = std::max(longest, row[j]);
    }
  return longest;
}

Family family_from_file(const std::string& path, Warnings& warnings) {
  const std::size_t slash = path.rfind('/');
  const Directory beside(slash == std::string::npos ? "." : path.substr(0, slash + 1), true);
  auto text = beside.read(path.substr(slash == std::string::npos ? 0 : slash + 1), kMaxFamilyBytes);
  if (!text) fail(ErrorCode::IO01, path, std::nullopt, "cannot open the family file");
  return parse_family(std::move(*text), path, warnings);
}

}  // namespace

Family choose_family(const Configuration& configuration, const OpenOptions& options,
                     Warnings& warnings) {
  const FamilyPart part = configuration.part();
  if (options.family_file) {
    Family family = family_from_file(*options.family_file, warnings);
    if (family.part != part)
      fail(ErrorCode::CF06, *options.family_file, std::nullopt,
           part == FamilyPart::projector
               ? "the family describes a language model, and --mmproj writes a projector"
               : "the family describes a projector: --mmproj writes it");
    return family;
  }
  if (const Family* family = find_family(configuration.model(), part)) return *family;
  // Class names differ in what they are built of: the longest common run of letters says what is
  // nearest.
  std::vector<std::pair<std::size_t, std::string>> known;
  for (const Family& family : builtin_families())
    if (family.part == part)
      for (const std::string& model : family.models)
        known.emplace_back(common_run(configuration.model(), model), model);
  std::stable_sort(known.begin(), known.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  known.resize(std::min(known.size(), kNearest));
  std::string nearest;
  for (const auto& entry : known) nearest += (nearest.empty() ? "" : ", ") + entry.second;
  configuration.refuse_model(
      part == FamilyPart::projector
          ? "no built-in family knows the projector of this model class; --family FILE describes it"
          : "no built-in family knows this model class; --family FILE describes it, --tensors-only "
            "quantizes its tensors by shape, under their own names",
      "for example " + nearest);
}

}  // namespace quantize
