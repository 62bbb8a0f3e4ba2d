#include "support/oracle.hpp"

#include <filesystem>
#include <stdexcept>

#include <dlfcn.h>

#include "support/process.hpp"

namespace quantize::test {
namespace {

// Layouts of the library's C interface.
struct InitParams {
  std::size_t memory_size;
  void* memory;
  bool no_alloc;
};
struct ImportanceItem {
  const char* name;
  const float* data;
  std::size_t size;
};
struct TensorTypeItem {
  const char* pattern;
  std::int32_t type;
};
struct Override {
  std::int32_t tag;  // 0 integer, 1 float, 2 boolean, 3 string: the order of the variant
  char key[128];
  union {
    std::int64_t integer;
    double real;
    bool boolean;
    char text[128];
  };
};
static_assert(sizeof(Override) == 264);
struct QuantizeParams {
  std::int32_t threads, file_type, output_tensor_type, token_embedding_type;
  bool allow_requantize, quantize_output_tensor, only_copy, pure, keep_split, dry_run;
  const ImportanceItem* importance;
  const Override* overrides;
  const TensorTypeItem* tensor_types;
  const std::int32_t* prune_layers;
  std::size_t max_buffer_size;
};

void* load(const std::string& name) {
  const auto folder = std::filesystem::path(oracle_path(Oracle::kName)).parent_path();
  void* library = dlopen((folder / name).c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library) throw std::runtime_error(dlerror());
  return library;
}

template <class Function>
Function* symbol(void* library, const std::string& name) {
  void* address = dlsym(library, name.c_str());
  if (!address) throw std::runtime_error("no symbol " + name);
  return reinterpret_cast<Function*>(address);
}

void ignore_log(int, const char*, void*) {}

}  // namespace

const Oracle& Oracle::instance() {
  static const Oracle oracle;
  return oracle;
}

Oracle::Oracle() : base_(load("libggml-base.so")) {
  load("libggml.v0.5.0.so");
  llama_ = load("libllama.v0.5.0.so");
  // Kept for the process: the first context fills the library's tables.
  context_ = symbol<void*(InitParams)>(base_, "ggml_init")({1024 * 1024, nullptr, false});
  symbol<void(void (*)(int, const char*, void*), void*)>(llama_, "llama_log_set")(ignore_log,
                                                                                  nullptr);
  symbol<void()>(llama_, "llama_backend_init")();
}

std::vector<std::byte> Oracle::encode(DType type, std::span<const float> values,
                                      std::uint64_t row_values, const float* importance) const {
  std::vector<std::byte> blocks(stored_bytes(type, values.size()));
  encode_into(type, values, row_values, importance, blocks.data());
  return blocks;
}

void Oracle::encode_into(DType type, std::span<const float> values, std::uint64_t row_values,
                         const float* importance, std::byte* blocks) const {
  const int id = info(type).gguf_id;
  symbol<void(int)>(base_, "ggml_quantize_init")(id);
  const auto chunk = symbol<std::size_t(int, const float*, void*, std::int64_t, std::int64_t,
                                        std::int64_t, const float*)>(base_, "ggml_quantize_chunk");
  chunk(id, values.data(), blocks, 0, static_cast<std::int64_t>(values.size() / row_values),
        static_cast<std::int64_t>(row_values), importance);
}

std::vector<float> Oracle::decode(DType type, std::span<const std::byte> blocks,
                                  std::uint64_t values) const {
  std::vector<float> out(values);
  symbol<void(const void*, float*, std::int64_t)>(
      base_, "dequantize_row_" + std::string(info(type).name))(blocks.data(), out.data(),
                                                               static_cast<std::int64_t>(values));
  return out;
}

bool Oracle::accepts(DType type, std::span<const std::byte> blocks) const {
  return symbol<bool(int, const void*, std::size_t)>(base_, "ggml_validate_row_data")(
      info(type).gguf_id, blocks.data(), blocks.size());
}

std::uint32_t Oracle::quantize_file(const std::string& in, const std::string& out,
                                    const QuantizeOptions& options) const {
  auto params = symbol<QuantizeParams()>(llama_, "llama_model_quantize_default_params")();
  params.threads = options.threads;
  params.file_type = options.file_type;
  params.output_tensor_type = options.output_tensor_type;
  params.token_embedding_type = options.token_embedding_type;
  params.allow_requantize = options.allow_requantize;
  params.quantize_output_tensor = options.quantize_output_tensor;
  params.only_copy = options.only_copy;
  params.pure = options.pure;
  params.keep_split = options.keep_split;
  std::vector<ImportanceItem> importance;
  for (const auto& [name, weights] : options.importance) {
    importance.push_back({name.c_str(), weights.data(), weights.size()});
  }
  importance.push_back({});
  if (importance.size() > 1) params.importance = importance.data();
  std::vector<TensorTypeItem> types;
  for (const auto& [pattern, type] : options.tensor_types) types.push_back({pattern.c_str(), type});
  types.push_back({});
  if (types.size() > 1) params.tensor_types = types.data();
  std::vector<Override> overrides;
  for (const auto& [key, value] : options.override_kv) {
    Override item{};
    item.tag = static_cast<std::int32_t>(value.index());
    key.copy(item.key, sizeof item.key - 1);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) item.integer = *integer;
    if (const auto* real = std::get_if<double>(&value)) item.real = *real;
    if (const auto* boolean = std::get_if<bool>(&value)) item.boolean = *boolean;
    if (const auto* text = std::get_if<std::string>(&value))
      text->copy(item.text, sizeof item.text - 1);
    overrides.push_back(item);
  }
  overrides.push_back({});
  if (overrides.size() > 1) params.overrides = overrides.data();
  std::vector<std::int32_t> layers = options.prune_layers;
  layers.push_back(-1);
  if (layers.size() > 1) params.prune_layers = layers.data();
  return symbol<std::uint32_t(const char*, const char*, const QuantizeParams*)>(
      llama_, "llama_model_quantize")(in.c_str(), out.c_str(), &params);
}

}  // namespace quantize::test
