// What loaders read beside the weights: config.json with its quantization_config.
#include <nlohmann/json.hpp>

#include "core/json.hpp"
#include "plan/checkpoint.hpp"

namespace quantize {
namespace {

using Object = nlohmann::ordered_json;

// The reader bounds the depth.
Object copy_of(const Json& value) {
  switch (value.kind()) {
    case JsonKind::null:
      return nullptr;
    case JsonKind::boolean:
      return value.boolean();
    case JsonKind::string:
      return std::string(value.string());
    case JsonKind::number:
      if (const auto integer = value.as_i64()) return *integer;
      if (const auto natural = value.as_u64()) return *natural;
      if (const auto real = value.as_double()) return *real;
      return nullptr;
    case JsonKind::array: {
      Object out = Object::array();
      for (const Json child : value.children()) out.push_back(copy_of(child));
      return out;
    }
    case JsonKind::object:
      break;
  }
  Object out = Object::object();
  for (const Json child : value.children()) out[std::string(child.key())] = copy_of(child);
  return out;
}

Object compressed_tensors(const CheckpointScheme& scheme, const std::vector<std::string>& dense) {
  const auto arguments = [](int bits, const char* type, const char* strategy, Object group,
                            Object dynamic) {
    return Object{{"num_bits", bits},     {"type", type},
                  {"symmetric", true},    {"strategy", strategy},
                  {"group_size", group},  {"block_structure", nullptr},
                  {"dynamic", dynamic},   {"actorder", nullptr},
                  {"observer", "minmax"}, {"observer_kwargs", Object::object()}};
  };
  Object weights;
  Object activations = nullptr;
  const char* format = "float-quantized";
  if (scheme.kind == "mxfp4") {
    format = "mxfp4-pack-quantized";
    weights = arguments(4, "float", "group", 32, false);
    weights["scale_dtype"] = "torch.uint8";
  } else if (scheme.kind == "nvfp4") {
    format = "nvfp4-pack-quantized";
    weights = arguments(4, "float", "tensor_group", 16, false);
    weights["scale_dtype"] = "torch.float8_e4m3fn";
  } else if (scheme.kind == "tensor" || scheme.kind == "channel") {
    weights = arguments(8, "float", scheme.kind.c_str(), nullptr, false);
    activations = arguments(8, "float", "token", nullptr, true);
    activations["observer"] = nullptr;
  } else {
    const bool grouped = scheme.group != 0;
    weights = arguments(static_cast<int>(scheme.grid.bits), "int", grouped ? "group" : "channel",
                        grouped ? Object(scheme.group) : Object(nullptr), false);
    weights["symmetric"] = scheme.grid.symmetric;
    format = scheme.kind == "packed" ? "pack-quantized" : "int-quantized";
    // Kernels for whole bytes multiply integers: activations are quantized as they come.
    if (scheme.kind == "int8") {
      activations = arguments(8, "int", "token", nullptr, true);
      activations["observer"] = nullptr;
    }
  }
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"quantization_status", "compressed"},
          {"global_compression_ratio", nullptr},
          {"kv_cache_scheme", nullptr},
          {"ignore", dense},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}},
              {"weights", weights},
              {"input_activations", activations},
              {"output_activations", nullptr},
              {"format", format}}}}}};
}

Object bitsandbytes(const CheckpointScheme& scheme, const std::vector<std::string>& dense) {
  const bool bytes = scheme.kind == "int8";
  return {{"quant_method", "bitsandbytes"},
          {"load_in_4bit", !bytes},
          {"load_in_8bit", bytes},
          {"_load_in_4bit", !bytes},
          {"_load_in_8bit", bytes},
          {"bnb_4bit_quant_type", bytes ? "fp4" : scheme.kind},
          {"bnb_4bit_use_double_quant", !bytes && scheme.double_quantized},
          {"bnb_4bit_compute_dtype", bytes ? "float32" : "bfloat16"},
          {"bnb_4bit_quant_storage", "uint8"},
          {"llm_int8_threshold", 6.0},
          {"llm_int8_skip_modules", dense},
          {"llm_int8_enable_fp32_cpu_offload", false},
          {"llm_int8_has_fp16_weight", false}};
}

// Names as regular expressions that match nothing else.
std::string escaped(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c == '.') out += '\\';
    out += c;
  }
  return out;
}

Object gptq(const CheckpointScheme& scheme, const std::vector<std::string>& dense) {
  Object overrides = Object::object();
  for (const std::string& name : dense) {
    if (name != "lm_head") overrides["-:^" + escaped(name) + "$"] = Object::object();
  }
  const bool sym = scheme.grid.symmetric;
  const Object group = scheme.group == 0 ? Object(-1) : Object(scheme.group);
  return {{"quant_method", "gptq"},
          {"checkpoint_format", sym ? "gptq" : "gptq_v2"},
          {"bits", scheme.grid.bits},
          {"group_size", group},
          {"desc_act", false},
          {"sym", sym},
          {"static_groups", false},
          {"true_sequential", true},
          {"damp_percent", 0.01},
          {"lm_head", false},
          {"pack_dtype", "int32"},
          {"dynamic", overrides},
          {"modules_in_block_to_quantize", nullptr},
          {"meta", {{"quantizer", {"quantize"}}}}};
}

Object awq(const CheckpointScheme& scheme, const std::vector<std::string>& dense) {
  std::vector<std::string> skipped;
  for (const std::string& name : dense) {
    if (name != "lm_head") skipped.push_back(name);
  }
  const Object group = scheme.group == 0 ? Object(-1) : Object(scheme.group);
  return {{"quant_method", "awq"},
          {"version", "gemm"},
          {"bits", scheme.grid.bits},
          {"group_size", group},
          {"zero_point", true},
          {"modules_to_not_convert", skipped.empty() ? Object(nullptr) : Object(skipped)}};
}

Object fp8(const CheckpointScheme&, const std::vector<std::string>& dense) {
  return {{"quant_method", "fp8"},           {"fmt", "e4m3"},
          {"activation_scheme", "dynamic"},  {"weight_block_size", {128, 128}},
          {"modules_to_not_convert", dense}, {"ignored_layers", dense}};
}

constexpr const char* kModeloptAlgorithm = "W4A16_NVFP4";

Object modelopt(const CheckpointScheme&, const std::vector<std::string>& dense) {
  return {
      {"quant_method", "modelopt"},
      {"quant_algo", kModeloptAlgorithm},
      {"kv_cache_scheme", nullptr},
      {"group_size", 16},
      {"ignore", dense},
      {"producer", {{"name", "modelopt"}}},
      {"config_groups",
       {{"group_0",
         {{"targets", {"Linear"}},
          {"weights", {{"dynamic", false}, {"num_bits", 4}, {"type", "float"}, {"group_size", 16}}},
          {"input_activations", nullptr}}}}}};
}

// In the order of Container.
constexpr Object (*kConfigs[])(const CheckpointScheme&, const std::vector<std::string>&) = {
    compressed_tensors, bitsandbytes, gptq, awq, fp8, modelopt};

}  // namespace

std::string checkpoint_config(const CheckpointTarget& target, const std::string& source,
                              const std::string& file, const std::vector<std::string>& dense,
                              std::vector<SideFile>& more, Warnings& warnings) {
  const auto document = JsonDocument::parse(source, file, {}, &warnings);
  if (!document->root().is_object())
    fail(ErrorCode::CF01, file, 0, "config.json does not hold an object");
  Object config = copy_of(document->root());
  const Object quantization =
      kConfigs[static_cast<std::size_t>(target.scheme.container)](target.scheme, dense);
  config["quantization_config"] = quantization;
  if (target.dense_type) {
    config.erase("dtype");
    config["torch_dtype"] = "float16";
  }
  if (target.scheme.container == Container::gptq)
    more.push_back({"quantize_config.json", quantization.dump(2) + "\n"});
  if (target.scheme.container == Container::modelopt) {
    const Object inner = {{"quant_algo", kModeloptAlgorithm},
                          {"kv_cache_quant_algo", nullptr},
                          {"group_size", 16},
                          {"exclude_modules", dense}};
    const Object outer = {{"producer", {{"name", "modelopt"}}}, {"quantization", inner}};
    more.push_back({"hf_quant_config.json", outer.dump(2) + "\n"});
  }
  return config.dump(2) + "\n";
}

}  // namespace quantize
