#include "convert/other_part.hpp"

#include "quantize/error.hpp"

namespace quantize {

OtherPart::OtherPart(FamilyPart part, const Directory& directory, const Source& source) {
  const FamilyPart other =
      part == FamilyPart::projector ? FamilyPart::language_model : FamilyPart::projector;
  Warnings unused;  // what is wrong with the configuration was said when this part was read
  try {
    configuration_ = std::make_unique<const Configuration>(directory, other, unused);
    const Family* family = find_family(configuration_->model(), other);
    if (family == nullptr) return;
    scope_ = std::make_unique<const Scope>(*family, *configuration_, directory, source);
    names_ = std::make_unique<const TensorNames>(*family, *scope_);
  } catch (const Error&) {
    names_ = nullptr;
  }
}

}  // namespace quantize
