// The names of checkpoints: CONTAINER:KIND with options, "gptq:4-g128-asym".
#include <algorithm>
#include <charconv>
#include <vector>

#include "plan/checkpoint.hpp"

namespace quantize {
namespace {

enum class Kind : std::uint8_t {
  int_quantized,
  pack_quantized,
  gptq,
  awq,
  bnb_int8,
  nf4,
  fp4,
  fp8,
  mxfp4,
  nvfp4_ct,
  nvfp4_modelopt
};

struct Row {
  std::string_view name;  // without options
  Container container;
  std::string_view kind;
  Kind make;
  unsigned bits;        // of integers; 0: the format has none
  std::uint64_t group;  // default; kNoGroups: the format has none of its own
  ScaleRule rule;       // default
  bool symmetric;       // default
  bool may_be_symmetric, may_be_asymmetric;
};

constexpr std::uint64_t kNoGroups = 1;
constexpr Container kCt = Container::compressed_tensors;
constexpr Container kBnb = Container::bitsandbytes;

Row integers(std::string_view name, Container container, std::string_view kind, Kind make,
             unsigned bits, std::uint64_t group, ScaleRule rule, bool symmetric, bool both = true) {
  return {name,
          container,
          kind,
          make,
          bits,
          group,
          rule,
          symmetric,
          both || symmetric,
          both || !symmetric};
}
Row floats(std::string_view name, Container container, std::string_view kind, Kind make) {
  return {name, container, kind, make, 0, kNoGroups, ScaleRule::absmax, true, false, false};
}

const std::vector<Row>& rows() {
  static const std::vector<Row> table = [] {
    constexpr ScaleRule kPlain = ScaleRule::absmax, kMse = ScaleRule::mse;
    std::vector<Row> out = {
        integers("ct:int8", kCt, "int8", Kind::int_quantized, 8, 0, kPlain, true),
        floats("ct:mxfp4", kCt, "mxfp4", Kind::mxfp4),
        floats("ct:nvfp4", kCt, "nvfp4", Kind::nvfp4_ct),
        floats("modelopt:nvfp4", Container::modelopt, "nvfp4", Kind::nvfp4_modelopt),
        floats("bnb:int8", kBnb, "int8", Kind::bnb_int8),
        floats("bnb:nf4", kBnb, "nf4", Kind::nf4),
        floats("bnb:fp4", kBnb, "fp4", Kind::fp4),
        floats("fp8:tensor", kCt, "tensor", Kind::fp8),
        floats("fp8:channel", kCt, "channel", Kind::fp8),
        floats("fp8:block", Container::fp8, "block", Kind::fp8),
        integers("awq:4", Container::awq, "int4", Kind::awq, 4, 128, kMse, false, false),
    };
    constexpr std::string_view kPacked[] = {"ct:int2", "ct:int3", "ct:int4", "ct:int5",
                                            "ct:int6", "ct:int7", "ct:w8"};
    for (unsigned bits = 2; bits <= 8; ++bits)
      out.push_back(integers(kPacked[bits - 2], kCt, "packed", Kind::pack_quantized, bits, 128,
                             kPlain, true));
    constexpr std::pair<std::string_view, unsigned> kGptq[] = {
        {"gptq:2", 2}, {"gptq:3", 3}, {"gptq:4", 4}, {"gptq:8", 8}};
    for (const auto& [name, bits] : kGptq)
      out.push_back(integers(name, Container::gptq, "gptq", Kind::gptq, bits, 128, kMse, true));
    return out;
  }();
  return table;
}

constexpr CheckpointName kNames[] = {
    {"ct:int8", "compressed-tensors, 8-bit integers, a scale per output channel"},
    {"ct:int4", "compressed-tensors, packed 4-bit integers in groups of 128 (int2 to int7, w8)"},
    {"ct:mxfp4", "compressed-tensors, 4-bit floats, a power of two for 32 values"},
    {"ct:nvfp4", "compressed-tensors, 4-bit floats, an 8-bit scale for 16 values"},
    {"modelopt:nvfp4", "the same as TensorRT Model Optimizer stores it"},
    {"bnb:int8", "bitsandbytes LLM.int8"},
    {"bnb:nf4", "bitsandbytes NF4, doubly quantized (-plain: not)"},
    {"bnb:fp4", "bitsandbytes FP4, doubly quantized (-plain: not)"},
    {"gptq:4", "GPTQ layout, groups of 128, rounded to nearest (2, 3, 4, 8)"},
    {"awq:4", "AWQ layout (GEMM), groups of 128, zero points, rounded to nearest"},
    {"fp8:tensor", "8-bit floats, a scale per tensor (compressed-tensors)"},
    {"fp8:channel", "8-bit floats, a scale per output channel (compressed-tensors)"},
    {"fp8:block", "8-bit floats, a scale per 128 x 128 values (DeepSeek)"},
};

constexpr std::pair<std::string_view, std::string_view> kDefaults[] = {{"nf4", "bnb:nf4"},
                                                                       {"fp4", "bnb:fp4"},
                                                                       {"gptq", "gptq:4-g128"},
                                                                       {"awq", "awq:4-g128"},
                                                                       {"fp8", "fp8:channel"}};

constexpr std::pair<std::string_view, ScaleRule> kScaleRules[] = {
    {"absmax", ScaleRule::absmax}, {"percentile", ScaleRule::percentile}, {"mse", ScaleRule::mse}};

[[noreturn]] void refuse(std::string_view name, std::string_view option, std::string_view allowed) {
  fail(ErrorCode::USE04, {}, {}, "target " + std::string(name) + " does not take this option",
       std::string(option), std::string(allowed));
}

void apply_option(std::string_view name, const Row& row, std::string_view option,
                  CheckpointScheme& scheme) {
  if (row.make == Kind::nf4 || row.make == Kind::fp4) {
    if (option != "plain") refuse(name, option, "plain");
    scheme.double_quantized = false;
    return;
  }
  if (row.bits == 0) refuse(name, option, "no options");
  for (const auto& [word, rule] : kScaleRules) {
    if (word != option) continue;
    scheme.grid.rule = rule;
    return;
  }
  if (option == "sym" && row.may_be_symmetric) {
    scheme.grid.symmetric = true;
  } else if (option == "asym" && row.may_be_asymmetric) {
    scheme.grid.symmetric = false;
  } else if (option == "channel") {
    scheme.group = 0;
  } else {
    std::uint64_t group = 0;
    const char* end = option.data() + option.size();
    const bool number = option.size() > 1 && option[0] == 'g' &&
                        std::from_chars(option.data() + 1, end, group).ptr == end;
    if (!number || (group != 32 && group != 64 && group != 128))
      refuse(name, option, "g32, g64, g128, channel, sym, asym, absmax, percentile, mse");
    scheme.group = group;
  }
}

WeightFormatPtr make_format(const Row& row, const CheckpointScheme& scheme) {
  switch (row.make) {
    case Kind::int_quantized:
      return make_int_quantized(scheme.grid, scheme.group);
    case Kind::pack_quantized:
      return make_pack_quantized(scheme.grid, scheme.group);
    case Kind::gptq:
      return make_gptq(scheme.grid, scheme.group);
    case Kind::awq:
      return make_awq(scheme.grid, scheme.group);
    case Kind::bnb_int8:
      return make_bnb_int8();
    case Kind::nf4:
      return make_bnb_4bit(true, scheme.double_quantized);
    case Kind::fp4:
      return make_bnb_4bit(false, scheme.double_quantized);
    case Kind::fp8:
      return make_fp8(row.kind == "tensor"    ? Fp8Scale::tensor
                      : row.kind == "channel" ? Fp8Scale::channel
                                              : Fp8Scale::block);
    case Kind::mxfp4:
      return make_mxfp4();
    case Kind::nvfp4_ct:
      return make_nvfp4(Nvfp4Container::compressed_tensors);
    case Kind::nvfp4_modelopt:
      return make_nvfp4(Nvfp4Container::modelopt);
  }
  return nullptr;
}

}  // namespace

std::span<const CheckpointName> checkpoint_names() noexcept { return kNames; }

std::shared_ptr<const CheckpointTarget> find_checkpoint(std::string_view name) {
  for (const auto& [word, full] : kDefaults) {
    if (word == name) name = full;
  }
  const std::string_view base = name.substr(0, name.find('-'));
  const auto row =
      std::find_if(rows().begin(), rows().end(), [&](const Row& r) { return r.name == base; });
  if (row == rows().end()) return nullptr;
  CheckpointTarget target;
  CheckpointScheme& scheme = target.scheme;
  scheme.container = row->container;
  scheme.kind = row->kind;
  scheme.group = row->group == kNoGroups ? 0 : row->group;
  scheme.grid.bits = row->bits == 0 ? 8 : row->bits;
  scheme.grid.symmetric = row->symmetric;
  scheme.grid.rule = row->rule;
  for (std::size_t at = base.size(); at < name.size();) {
    const std::size_t end = std::min(name.find('-', at + 1), name.size());
    apply_option(name, *row, name.substr(at + 1, end - at - 1), scheme);
    at = end;
  }
  target.label = std::string(name);
  std::replace(target.label.begin(), target.label.end(), ':', '-');
  target.format = make_format(*row, scheme);
  if (row->container == Container::gptq || row->container == Container::awq)
    target.dense_type = DType::f16;
  return std::make_shared<const CheckpointTarget>(std::move(target));
}

}  // namespace quantize
