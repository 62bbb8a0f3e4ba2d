// A model's config.json as the reference sees it: one flat object in which the fields of
// text_config come after (and win over) the outer ones and the model class's defaults fill in what
// is missing. Every number is read with its range, and complaints name the byte in the file.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "arch/family.hpp"
#include "core/directory.hpp"
#include "core/json.hpp"

namespace quantize {

class Scope;

class Configuration {
 public:
  // CF01 if there is no config.json; JS*; CF02 if it names no architecture; CF07 if there is no
  // vision_config and the projector is asked for: its fields are those of vision_config alone.
  Configuration(const Directory& directory, FamilyPart part, Warnings& warnings);

  const std::string& file() const noexcept { return file_; }
  FamilyPart part() const noexcept { return part_; }
  std::string_view model() const noexcept { return model_; }  // architectures[0]
  // CF06: no family knows model().
  [[noreturn]] void refuse_model(std::string text, std::string known) const;
  // Adds the defaults of the family for this model_type, then what the family sets.
  void inject(const Family& family, const Scope& scope);

  Json root() const noexcept { return flat_->root(); }
  Json raw() const noexcept { return raw_->root(); }  // config.json as it is

  // The first of `keys` that is present; nothing if that one is null, or none is.
  std::optional<Json> find(std::initializer_list<std::string_view> keys) const;
  std::optional<Json> find(std::string_view key) const { return find({key}); }

  // CF03 for another kind, JS05 for numbers that do not fit, CF04 outside the range.
  std::uint64_t unsigned_of(const Json& value, ValueRange range) const;
  double real_of(const Json& value, ValueRange range) const;

  // CF03, CF04: a number of this name is not one that its meaning allows.
  void check_field(const Json& value) const;

  // Where a value stands in its file, config.json or another; nothing for an injected default.
  std::optional<std::uint64_t> offset_of(const Json& value) const;
  [[noreturn]] void refuse(ErrorCode code, const Json& value, std::string text,
                           std::string allowed = {}) const;

 private:
  void assemble(const std::string& defaults);
  void name_model();

  FamilyPart part_;
  std::string file_, text_, model_;
  std::uint64_t model_offset_ = 0;
  std::unique_ptr<JsonDocument> raw_, flat_;
  // The flat text is text_[0, outer_end_) "," text_[inner_start_, inner_end_) "," defaults "}". Of
  // a projector there are no outer members: outer_end_ is past the opening brace.
  std::uint64_t outer_end_ = 0, inner_start_ = 0, inner_end_ = 0;
  std::uint64_t inner_at_ = 0;  // where the inner members are in the flat text
};

}  // namespace quantize
