// Rotary embeddings, which publishers spell in several ways: their parameters, their keys, and the
// factors that Llama 3 derives from them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/metadata.hpp"

#include "convert/configuration.hpp"
#include "core/json.hpp"

namespace quantize {

// rope_parameters (or rope_scaling) with what older configurations keep at the top level.
class Rope {
 public:
  explicit Rope(const Configuration& configuration);

  std::optional<Json> get(std::string_view key) const;
  std::optional<Json> sliding_theta() const;
  std::string type() const;
  Json parameters() const { return parameters_; }

 private:
  const Configuration& configuration_;
  Json parameters_, main_, sliding_;
  bool flat_ = true;
};

// The keys rope.* of the shared block. `prefix`: "{architecture}.".
void append_rope(const Configuration& configuration, const std::string& prefix, Metadata& metadata,
                 Warnings& warnings);

// Divisors of the rotary frequencies (rope_freqs.weight); empty unless the scaling is "llama3".
std::vector<float> llama3_rope_factors(const Configuration& configuration);

}  // namespace quantize
