// Rules of thumb that hold for llama.cpp with its default settings: a cache of halves for every
// layer and position, and buffers for one batch, of which the widest step decides (the output over
// the vocabulary, or the feed-forward layer). Attention scores are not kept (flash attention).
#include "quantize/memory.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/checked.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kDefaultContext = 4096;
constexpr std::uint64_t kBatch = 512;
constexpr std::uint64_t kHalf = 2;

// A file may claim anything: what does not fit 64 bits is "more than there is".
constexpr std::uint64_t kTooMuch = ~std::uint64_t{0};
std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  return checked_multiply(a, b).value_or(kTooMuch);
}
std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  return checked_add(a, b).value_or(kTooMuch);
}

// Numbers of the architecture, as metadata has them: one, or one per layer.
class Numbers {
 public:
  explicit Numbers(const Metadata& metadata) : metadata_(metadata) {
    if (const auto* name = metadata.get<std::string>("general.architecture")) prefix_ = *name + '.';
  }
  std::optional<std::uint64_t> find(const std::string& key, std::uint64_t layer = 0) const {
    const MetaValue* value = metadata_.find(prefix_ + key);
    if (!value) return std::nullopt;
    if (const auto* one = std::get_if<std::uint32_t>(value)) return *one;
    if (const auto* one = std::get_if<std::uint64_t>(value)) return *one;
    const auto* array = std::get_if<MetaArray>(value);
    if (!array) return std::nullopt;
    if (const auto* each = std::get_if<std::vector<std::uint32_t>>(array))
      return layer < each->size() ? (*each)[layer] : 0;
    if (const auto* each = std::get_if<std::vector<std::int32_t>>(array))
      return layer < each->size() ? static_cast<std::uint64_t>(std::max((*each)[layer], 0)) : 0;
    return std::nullopt;
  }
  bool is_causal() const {
    const auto* causal = metadata_.get<bool>(prefix_ + "attention.causal");
    return !causal || *causal;
  }

 private:
  const Metadata& metadata_;
  std::string prefix_;
};

// Values that one position adds to the cache of one layer.
std::uint64_t cached_values(const Numbers& numbers, std::uint64_t layer) {
  const std::uint64_t heads = numbers.find("attention.head_count", layer).value_or(0);
  if (heads == 0) return 0;
  const std::uint64_t shared = numbers.find("attention.head_count_kv", layer).value_or(heads);
  const std::uint64_t each = numbers.find("embedding_length").value_or(0) / heads;
  return times(shared, plus(numbers.find("attention.key_length").value_or(each),
                            numbers.find("attention.value_length").value_or(each)));
}

std::uint64_t vocabulary(const Plan& plan) {
  std::uint64_t rows = 0;
  for (const PlannedFile& file : plan.files) {
    for (const PlannedTensor& tensor : file.tensors) {
      if (tensor.name == "token_embd.weight" || tensor.name == "output.weight")
        rows = std::max(rows, tensor.shape.rows());
    }
  }
  return rows;
}

}  // namespace

std::uint64_t MemoryEstimate::total() const noexcept { return plus(weights, plus(cache, compute)); }

MemoryEstimate estimate_memory(const Plan& plan, std::uint64_t context) {
  MemoryEstimate estimate;
  for (const PlannedFile& file : plan.files) {
    for (const PlannedTensor& tensor : file.tensors) estimate.weights += tensor.bytes;
  }
  if (plan.files.empty()) return estimate;
  const Numbers numbers(plan.files.front().metadata);
  estimate.context = context;
  if (context == 0) {
    estimate.context =
        std::min(numbers.find("context_length").value_or(kDefaultContext), kDefaultContext);
  }
  // A file may claim any number of layers: more than it has tensors are not there.
  std::uint64_t tensors = 0;
  for (const PlannedFile& file : plan.files) tensors += file.tensors.size();
  const std::uint64_t layers = std::min(numbers.find("block_count").value_or(0), tensors);
  for (std::uint64_t layer = 0; layer < layers && numbers.is_causal(); ++layer) {
    const std::uint64_t bytes =
        times(times(estimate.context, cached_values(numbers, layer)), kHalf);
    estimate.cache = plus(estimate.cache, bytes);
  }
  const std::uint64_t width = numbers.find("embedding_length").value_or(0);
  const std::uint64_t forward = numbers.find("feed_forward_length").value_or(0);
  const std::uint64_t widest =
      std::max(plus(vocabulary(plan), width), plus(times(2, forward), times(4, width)));
  estimate.compute = times(std::min(kBatch, estimate.context) * sizeof(float), widest);
  return estimate;
}

}  // namespace quantize
