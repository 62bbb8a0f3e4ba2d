// Prints plans: one screen for people, one document for programs.
#pragma once

#include <iosfwd>
#include <span>

#include "quantize/plan.hpp"

namespace quantize {

struct PlanTextOptions {
  bool json = false;
  bool tensors = false;  // text: list every tensor
};

void write_plan(const Model& model, std::span<const Plan> plans, const PlanTextOptions& options,
                std::ostream& out);

}  // namespace quantize
