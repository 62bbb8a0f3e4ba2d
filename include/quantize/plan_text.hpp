// Prints plans: one screen for people, one document for programs.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <span>

#include "quantize/plan.hpp"

namespace quantize {

struct PlanTextOptions {
  bool json = false;
  bool tensors = false;       // text: list every tensor
  bool memory = false;        // say what running each would take
  std::uint64_t context = 0;  // tokens, for that; 0: the model's, at most 4096
  std::uint64_t ram = 0;      // say which fit into so many bytes; 0: do not
};

// A plan and the model that it is made for.
struct ModelPlan {
  const Model* model = nullptr;
  const Plan* plan = nullptr;
};

// `plans` are those of one input, in one document; `model` is one of theirs, and describes it.
void write_plan(const Model& model, std::span<const ModelPlan> plans,
                const PlanTextOptions& options, std::ostream& out);

}  // namespace quantize
