// Which family converts a model: one that the user describes, or the built-in one that names the
// model's class.
#pragma once

#include "quantize/model.hpp"

#include "arch/family.hpp"
#include "convert/configuration.hpp"

namespace quantize {

// CF06 if no built-in family of the configuration's part knows the class: what is nearest is named.
Family choose_family(const Configuration& configuration, const OpenOptions& options,
                     Warnings& warnings);

}  // namespace quantize
