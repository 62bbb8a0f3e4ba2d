// What a family makes of tensor names: renaming, what it leaves out, which rules a name falls
// under.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "arch/family.hpp"
#include "convert/scope.hpp"

namespace quantize {

// A name with its numbers taken out: "a.12.b" is "a.{}.b" and 12. Numbers are in canonical decimal,
// so that the way back is unique.
struct NamePattern {
  std::string text;
  std::vector<std::uint64_t> numbers;
};

// Every `what` in the text replaced.
std::string replaced(std::string text, std::string_view what, std::string_view with);

// Numbers and sizes in braces: "{n}", "{n+num_hidden_layers}".
std::string filled_in(std::string_view text, const Scope& scope, const Family& family,
                      Numbers numbers);

class TensorNames {
 public:
  // Refers to both, which must live as long.
  TensorNames(const Family& family, const Scope& scope);

  struct Found {
    std::string name;         // as the family's rename rules make it
    std::string_view suffix;  // ".weight" or ".bias" if the rules' names are without; static
    NamePattern pattern;
    const std::vector<const TensorRule*>* rules = nullptr;  // none: the family has no such name
    bool dropped = false;  // another part, a buffer that is computed, or dropped by the family
  };
  // `holds` says whether a drop rule that fits by name does by values too; without it, it does.
  Found find(std::string_view source_name,
             const std::function<bool(const DropRule&)>& holds = nullptr) const;
  // Whether the family's file has the tensor, or names it as one to leave out.
  bool knows(std::string_view source_name) const;

 private:
  bool dropped(const Found& found, const std::function<bool(const DropRule&)>& holds) const;

  const Family& family_;
  const Scope& scope_;
  std::unordered_map<std::string, std::vector<const TensorRule*>> rules_;  // by pattern
};

}  // namespace quantize
