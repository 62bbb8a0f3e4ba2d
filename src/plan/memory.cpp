// What llama.cpp allocates with its default settings, by the rules that its log lines confirm
// (tests/client/memory_test.cpp): a cache of halves for every layer with attention, over the whole
// context or a sliding window; states of recurrent layers; and buffers for one batch.
#include "quantize/memory.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/checked.hpp"
#include "plan/rules.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kDefaultContext = 4096;
constexpr std::uint64_t kBatch = 512;
constexpr std::uint64_t kHalf = 2;
constexpr std::uint64_t kCells = 256;  // caches hold multiples of so many positions

// A file may claim anything: what does not fit 64 bits is "more than there is".
constexpr std::uint64_t kTooMuch = ~std::uint64_t{0};
std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  return checked_multiply(a, b).value_or(kTooMuch);
}
std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  return checked_add(a, b).value_or(kTooMuch);
}
std::uint64_t whole_cells(std::uint64_t positions) {
  return checked_round_up(positions, kCells).value_or(kTooMuch);
}

// Architectures whose layers look back over a window only, but for the last of every `period`;
// where the file lists the layers, as it says. (Others have the key and no such layers.)
struct Windows {
  std::string_view architecture;
  std::uint64_t period;
  std::uint64_t window;  // if the file does not say
  std::uint64_t layers;  // only models of so many; 0: all
};
constexpr Windows kWindows[] = {
    {"gemma2", 2, 4096, 0}, {"gemma3", 6, 0, 0},     {"gemma3n", 5, 0, 0},
    {"gemma4", 1, 0, 0},    {"cohere2", 4, 0, 0},    {"exaone4", 4, 4096, 64},
    {"olmo2", 4, 0, 0},     {"exaone-moe", 4, 0, 0}, {"gpt-oss", 2, 0, 0},
};

// Numbers of the architecture, as metadata has them: one, or one per layer.
class Numbers {
 public:
  explicit Numbers(const Metadata& metadata) : metadata_(metadata) {
    if (const auto* name = metadata.get<std::string>("general.architecture")) architecture_ = *name;
  }
  const std::string& architecture() const { return architecture_; }
  std::optional<std::uint64_t> find(const std::string& key, std::uint64_t layer = 0) const {
    const MetaValue* value = metadata_.find(architecture_ + '.' + key);
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
  // One answer per layer, if the file lists them.
  std::optional<bool> flag(const std::string& key, std::uint64_t layer) const {
    const MetaValue* value = metadata_.find(architecture_ + '.' + key);
    const auto* array = value ? std::get_if<MetaArray>(value) : nullptr;
    if (!array) return std::nullopt;
    bool found = false;
    std::visit(
        [&](const auto& elements) {
          if constexpr (requires { elements.size(); }) {
            using Element = typename std::decay_t<decltype(elements)>::value_type;
            if constexpr (std::is_arithmetic_v<Element>)
              found = layer < elements.size() && elements[layer] != Element{};
          }
        },
        *array);
    return found;
  }
  std::uint64_t get(const std::string& key, std::uint64_t otherwise = 0) const {
    return find(key).value_or(otherwise);
  }
  bool is_causal() const {
    const auto* causal = metadata_.get<bool>(architecture_ + ".attention.causal");
    return !causal || *causal;
  }

 private:
  const Metadata& metadata_;
  std::string architecture_;
};

struct Layers {
  std::uint64_t all = 0;   // that run: those that predict further tokens are not loaded
  std::uint64_t keys = 0;  // the first so many have keys and values of their own
};

Layers count_layers(const Numbers& numbers, const Plan& plan) {
  // A file may claim any number of layers: more than it has tensors are not there.
  std::uint64_t tensors = 0;
  for (const PlannedFile& file : plan.files) tensors += file.tensors.size();
  Layers layers;
  layers.all = std::min(numbers.get("block_count"), tensors);
  layers.all -= std::min(layers.all, numbers.get("nextn_predict_layers"));
  layers.keys = layers.all - std::min(layers.all, numbers.get("attention.shared_kv_layers"));
  constexpr std::uint64_t kGemma3n = 20;
  if (numbers.architecture() == "gemma3n") layers.keys = std::min(layers.keys, kGemma3n);
  return layers;
}

bool looks_through_a_window(const Numbers& numbers, std::uint64_t layer) {
  for (const Windows& row : kWindows) {
    if (row.architecture != numbers.architecture()) continue;
    if (numbers.get("attention.sliding_window", row.window) == 0) return false;
    if (row.layers != 0 && row.layers != numbers.get("block_count")) return false;
    const std::string pattern = "attention.sliding_window_pattern";
    if (const auto listed = numbers.flag(pattern, layer)) return *listed;
    const std::uint64_t period = numbers.get(pattern, row.period);
    return period != 0 && layer % period != period - 1;
  }
  return false;
}

// Positions that the cache of a layer holds.
std::uint64_t cells(const Numbers& numbers, std::uint64_t context, bool window) {
  const std::uint64_t all = whole_cells(context);
  if (!window) return all;
  std::uint64_t size = 0;
  for (const Windows& row : kWindows)
    if (row.architecture == numbers.architecture())
      size = numbers.get("attention.sliding_window", row.window);
  return whole_cells(std::min(all, plus(size, kBatch)));
}

std::uint64_t head_size(const Numbers& numbers, const char* which, bool window) {
  const std::string key = std::string("attention.") + which + "_length";
  const std::uint64_t heads = std::max<std::uint64_t>(numbers.get("attention.head_count"), 1);
  const std::uint64_t size = numbers.get(key, numbers.get("embedding_length") / heads);
  return window ? numbers.get(key + "_swa", size) : size;
}

// Values that one position adds to the cache of one layer. Latent attention (MLA) keeps no values.
std::uint64_t cached_values(const Numbers& numbers, std::uint64_t layer, bool window) {
  const std::uint64_t heads = numbers.find("attention.head_count", layer).value_or(0);
  if (heads == 0) return 0;
  const std::uint64_t shared = numbers.find("attention.head_count_kv", layer).value_or(heads);
  const bool latent = numbers.get("attention.key_length_mla") != 0;
  return times(shared, plus(head_size(numbers, "key", window),
                            latent ? 0 : head_size(numbers, "value", window)));
}

// Whether a layer keeps a state instead of, or beside, keys and values.
bool is_recurrent(const Numbers& numbers, std::uint64_t layer) {
  if (numbers.get("ssm.inner_size") == 0 && numbers.get("shortconv.l_cache") == 0) return false;
  if (numbers.architecture() == "falcon-h1") return true;  // both in every layer
  if (const auto listed = numbers.flag("attention.recurrent_layers", layer)) return *listed;
  if (const std::uint64_t interval = numbers.get("full_attention_interval"); interval != 0)
    return (layer + 1) % interval != 0;
  return numbers.find("attention.head_count_kv", layer).value_or(0) == 0;
}

// Floats of the state of a recurrent layer: the last inputs of its convolution, and what it
// remembers.
std::uint64_t state_values(const Numbers& numbers) {
  if (const std::uint64_t taps = numbers.get("shortconv.l_cache"); taps != 0)
    return times(numbers.get("embedding_length"), taps - 1);
  const std::uint64_t inner = numbers.get("ssm.inner_size"), size = numbers.get("ssm.state_size");
  const std::uint64_t taps = std::max<std::uint64_t>(numbers.get("ssm.conv_kernel"), 1) - 1;
  const std::uint64_t mixed = plus(inner, times(2, times(numbers.get("ssm.group_count"), size)));
  return plus(times(taps, mixed), times(size, inner));
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

// Floats of one token that are there at once: about the logits, the widest step of a layer, and
// three vectors of the width. Larger than what llama.cpp comes out with, by up to its half.
std::uint64_t activations(const Numbers& numbers, const Plan& plan) {
  const std::uint64_t width = numbers.get("embedding_length");
  const std::uint64_t queries =
      times(numbers.get("attention.head_count"), head_size(numbers, "key", false));
  const std::uint64_t used = numbers.get("expert_used_count");
  const std::uint64_t forward = numbers.get("feed_forward_length");
  const std::uint64_t expert = numbers.get("expert_feed_forward_length", used != 0 ? forward : 0);
  const std::uint64_t layer =
      std::max(times(2, forward), times(used, plus(times(2, expert), width)));
  std::uint64_t state = 0;
  if (const std::uint64_t inner = numbers.get("ssm.inner_size"); inner != 0) {
    const std::uint64_t groups =
        times(2, times(std::max<std::uint64_t>(numbers.get("ssm.group_count"), 1),
                       numbers.get("ssm.state_size")));
    state = plus(plus(times(4, inner), times(2, groups)), numbers.get("ssm.time_step_rank"));
  }
  return plus(plus(times(3, std::max(width, queries)), state),
              std::max(plus(vocabulary(plan), forward), layer));
}

// Which positions a token sees, as halves; attention with a bias for distances (T5) also keeps its
// scores, as floats.
std::uint64_t attention_bytes(const Numbers& numbers, std::uint64_t full, std::uint64_t window) {
  std::uint64_t bytes = times(plus(full, window), kHalf);
  if (numbers.find("attention.relative_buckets_count")) {
    const std::uint64_t copies = times(numbers.get("attention.head_count"), 7) / 2;
    bytes = plus(bytes, times(times(full, copies), sizeof(float)));
  }
  return bytes;
}

// Tensors of layers that only predict further tokens are left out.
std::uint64_t loaded_bytes(const Plan& plan, const Numbers& numbers) {
  const std::uint64_t layers = numbers.get("block_count");
  const std::uint64_t first = layers - std::min(layers, numbers.get("nextn_predict_layers"));
  std::uint64_t bytes = 0;
  for (const PlannedFile& file : plan.files) {
    for (const PlannedTensor& tensor : file.tensors) {
      const std::int64_t layer = layer_of(tensor.name);
      if (first == layers || layer < 0 || static_cast<std::uint64_t>(layer) < first)
        bytes += tensor.bytes;
    }
  }
  return bytes;
}

}  // namespace

std::uint64_t MemoryEstimate::total() const noexcept { return plus(weights, plus(cache, compute)); }

MemoryEstimate estimate_memory(const Plan& plan, std::uint64_t context) {
  MemoryEstimate estimate;
  if (plan.files.empty()) return estimate;
  const Numbers numbers(plan.files.front().metadata);
  estimate.weights = loaded_bytes(plan, numbers);
  estimate.context = context;
  if (context == 0) {
    estimate.context =
        std::min(numbers.find("context_length").value_or(kDefaultContext), kDefaultContext);
  }
  const Layers layers = count_layers(numbers, plan);
  std::uint64_t full = 0, window = 0;  // cells of the two kinds of attention, if there are such
  for (std::uint64_t layer = 0; layer < layers.all; ++layer) {
    const bool recurrent = is_recurrent(numbers, layer);
    if (recurrent)
      estimate.cache = plus(estimate.cache, times(state_values(numbers), sizeof(float)));
    if (recurrent && numbers.architecture() != "falcon-h1") continue;
    const bool narrow = looks_through_a_window(numbers, layer);
    const std::uint64_t values = cached_values(numbers, layer, narrow);
    if (values == 0) continue;
    const std::uint64_t size = cells(numbers, estimate.context, narrow);
    (narrow ? window : full) = size;
    if (numbers.is_causal() && layer < layers.keys)
      estimate.cache = plus(estimate.cache, times(times(size, values), kHalf));
  }
  if (!numbers.is_causal()) full = std::min(full, kBatch), window = 0;
  estimate.compute = times(std::min(kBatch, estimate.context),
                           plus(times(activations(numbers, plan), sizeof(float)),
                                attention_bytes(numbers, full, window)));
  return estimate;
}

}  // namespace quantize
