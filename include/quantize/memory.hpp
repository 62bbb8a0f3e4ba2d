// What a planned model will take when llama.cpp runs it: known before a weight is written.
#pragma once

#include <cstdint>

#include "quantize/plan.hpp"

namespace quantize {

struct MemoryEstimate {
  std::uint64_t context = 0;  // tokens
  std::uint64_t weights = 0;  // exact: the tensors' bytes
  std::uint64_t cache = 0;  // keys and values of the context, as halves; 0 without attention heads
  std::uint64_t compute = 0;  // an estimate: the largest step of a batch of 512 tokens
  std::uint64_t total() const noexcept;
};

// `context` 0: what the model was trained for, at most 4096.
MemoryEstimate estimate_memory(const Plan& plan, std::uint64_t context);

}  // namespace quantize
