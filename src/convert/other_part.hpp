// A multimodal model directory holds a language model and a projector; one file has one of them.
// Which tensors are the other's is asked by name, so that what neither knows is not lost unseen.
#pragma once

#include <memory>
#include <string_view>

#include "quantize/source.hpp"

#include "arch/family.hpp"
#include "convert/configuration.hpp"
#include "convert/scope.hpp"
#include "convert/tensor_names.hpp"
#include "core/directory.hpp"

namespace quantize {

class OtherPart {
 public:
  // The part that `part` is not, if a built-in family knows it. A configuration that it cannot use
  // is no error: then there is no other part.
  OtherPart(FamilyPart part, const Directory& directory, const Source& source);

  bool has(std::string_view source_tensor) const { return names_ && names_->knows(source_tensor); }

 private:
  std::unique_ptr<const Configuration> configuration_;
  std::unique_ptr<const Scope> scope_;
  std::unique_ptr<const TensorNames> names_;
};

}  // namespace quantize
