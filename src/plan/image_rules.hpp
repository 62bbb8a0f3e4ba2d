// Which type a tensor of an image or video model gets (arch/image_models.hpp).
#pragma once

#include <cstdint>
#include <string_view>

#include "quantize/dtype.hpp"

namespace quantize {

struct ImageChoice {
  DType type;
  std::string_view reason;  // empty: the preset's default
};

// Asked for every tensor that is quantized, in the order of the file; counts those of a kind.
class ImageMixture {
 public:
  // `preset` by its name, as "q4_k_m"; `default_type` is its own.
  ImageMixture(std::string_view preset, DType default_type)
      : preset_(preset), default_type_(default_type) {}
  ImageChoice choose(std::string_view name);

 private:
  std::string_view preset_;
  DType default_type_;
  std::uint64_t values_ = 0;
};

}  // namespace quantize
