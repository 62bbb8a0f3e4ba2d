// What a planned model will take when llama.cpp runs it: known before a weight is written.
#pragma once

#include <cstdint>

#include "quantize/plan.hpp"

namespace quantize {

struct MemoryEstimate {
  std::uint64_t context = 0;  // tokens
  std::uint64_t weights = 0;  // exact: the bytes of the tensors that are loaded
  std::uint64_t cache = 0;    // exact: keys and values as halves, states of recurrent layers
  std::uint64_t compute = 0;  // an upper estimate for a batch of 512 tokens on a processor: not
                              // less than llama.cpp reports, and less than twice that
  std::uint64_t total() const noexcept;
};

// `context` 0: what the model was trained for, at most 4096.
MemoryEstimate estimate_memory(const Plan& plan, std::uint64_t context);

}  // namespace quantize
