// A source as it is after decoding: packed tensors are replaced by what they stand for. This file
// holds the list of formats; whatever looks packed and belongs to none of them is an error.
#include <algorithm>
#include <cstring>
#include <utility>

#include "quantize/escape.hpp"
#include "quantize/quantizer.hpp"

#include "convert/checkpoints/checkpoint.hpp"

namespace quantize {
namespace {

using namespace checkpoints;

// The first that takes a tensor has it.
constexpr bool (*kFormats[])(Checkpoint&, std::size_t) = {take_gptq,
                                                          take_awq,
                                                          take_bitsandbytes_4bit,
                                                          take_bitsandbytes_8bit,
                                                          take_pack_quantized,
                                                          take_bitnet,
                                                          take_mxfp4_experts,
                                                          take_small_floats,
                                                          take_hqq,
                                                          take_scaled};

// Parts that say how activations or caches are quantized: a model of weights needs none.
constexpr std::string_view kOfActivations[] = {".input_scale",      ".input_global_scale",
                                               ".input_zero_point", ".output_scale",
                                               ".activation_scale", "_activation_scale",
                                               ".qscale_act",       ".k_scale",
                                               ".v_scale",          ".q_scale"};

// Parts that are never a tensor of a model by themselves.
constexpr std::string_view kParts[] = {".qweight",
                                       ".qzeros",
                                       ".scales",
                                       ".g_idx",
                                       ".weight_scale",
                                       "_scale_inv",
                                       ".weight_packed",
                                       ".weight_shape",
                                       ".weight_g_idx",
                                       ".weight_scale_2",
                                       ".weight_zero_point",
                                       ".weight_global_scale",
                                       ".absmax",
                                       ".quant_map",
                                       ".nested_absmax",
                                       ".nested_quant_map",
                                       ".SCB",
                                       ".weight_format",
                                       ".qscale_weight",
                                       ".W_q",
                                       "proj_blocks",
                                       "proj_scales",
                                       ".bitsandbytes__nf4",
                                       ".bitsandbytes__fp4"};

bool is_packed_weight(const SourceTensor& tensor) {
  switch (tensor.type) {
    case DType::f8_e4m3:
    case DType::f8_e5m2:
    case DType::f8_e4m3fnuz:
    case DType::f8_e5m2fnuz:
    case DType::f4:
      return true;
    case DType::u8:
    case DType::i8:
    case DType::i16:
    case DType::i32:
      return ends_with(tensor.name, "weight") && tensor.shape.rank() >= 2;
    default:
      return false;
  }
}

// Everything that is left belongs to the model, or was never understood.
void refuse_rest(Checkpoint& checkpoint) {
  const auto ends = [](const std::string& name) {
    return [&name](std::string_view end) { return ends_with(name, end); };
  };
  for (std::size_t i = 0; i < checkpoint.source.tensors().size(); ++i) {
    if (checkpoint.claimed(i)) continue;
    const SourceTensor& tensor = checkpoint[i];
    if (is_packed_weight(tensor))
      checkpoint.refuse(ErrorCode::CK01, i,
                        "tensor " + quoted(tensor.name) + " is packed, and its scale is missing",
                        std::string(info(tensor.type).name));
    if (std::any_of(std::begin(kOfActivations), std::end(kOfActivations), ends(tensor.name)))
      checkpoint.drop(i);
    else if (std::any_of(std::begin(kParts), std::end(kParts), ends(tensor.name)))
      checkpoint.refuse(ErrorCode::CK05, i,
                        "tensor " + quoted(tensor.name) +
                            " looks like a part of a quantized tensor, but nothing uses it");
  }
}

// Values of one call are decoded in pieces of so many.
constexpr std::uint64_t kTileValues = std::uint64_t{1} << 19;

class DecodedSource : public Source {
 public:
  DecodedSource(std::shared_ptr<const Source> base, Checkpoint& checkpoint)
      : base_(std::move(base)), decoded_(std::move(checkpoint.decoded)) {
    std::vector<std::size_t> by_main(base_->tensors().size(), decoded_.size());
    for (std::size_t d = 0; d < decoded_.size(); ++d)
      if (!decoded_[d].last) by_main[decoded_[d].parts.front()] = d;
    for (std::size_t i = 0; i < base_->tensors().size(); ++i) {
      if (by_main[i] < decoded_.size())
        add(decoded_[by_main[i]]);
      else if (!checkpoint.claimed(i))
        add(i);
    }
    for (const Decoded& decoded : decoded_)
      if (decoded.last) add(decoded);
  }

  std::string_view format() const noexcept override { return base_->format(); }
  std::string_view path() const noexcept override { return base_->path(); }
  std::span<const SourceFile> files() const noexcept override { return base_->files(); }
  std::span<const SourceTensor> tensors() const noexcept override { return tensors_; }
  std::span<const SourceTensor> stored_tensors() const noexcept override {
    return base_->tensors();
  }
  const Metadata& metadata() const noexcept override { return base_->metadata(); }
  std::optional<std::uint64_t> metadata_offset(std::string_view key) const noexcept override {
    return base_->metadata_offset(key);
  }
  void check_unchanged() const override { base_->check_unchanged(); }

  void read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> into) const override {
    const Origin& origin = origins_[tensor];
    if (!origin.decoded) return base_->read(origin.tensor, offset, into);
    const TypeInfo& type = info(tensors_[tensor].type);
    const std::uint64_t first = offset / type.block_bytes, count = into.size() / type.block_bytes;
    if (first * type.block_bytes != offset || count * type.block_bytes != into.size())
      fail(ErrorCode::BUG01, {}, {}, "a decoded value is read in pieces");
    if (type.block_values > 1)
      read_blocks(*origin.decoded, first, count, into);
    else
      read_values(*origin.decoded, first, count, into);
  }

  std::uint64_t read_scratch_bytes(std::size_t tensor, std::uint64_t bytes) const override {
    const Origin& origin = origins_[tensor];
    if (!origin.decoded) return base_->read_scratch_bytes(origin.tensor, bytes);
    const Decoded& decoded = *origin.decoded;
    if (!decoded.matrix) return bytes;
    const std::uint64_t values =
        std::min(kTileValues, bytes / info(decoded.about.type).block_bytes + 1);
    const std::uint64_t columns = std::min(values, decoded.columns);
    const Tile tile{0, values / columns + 1, 0, columns};
    return decoded.matrix->scratch_bytes(tile) + values * sizeof(float);
  }

  void prefetch(std::size_t tensor, std::uint64_t offset, std::uint64_t bytes) const override {
    const Origin& origin = origins_[tensor];
    if (!origin.decoded) return base_->prefetch(origin.tensor, offset, bytes);
    // The same share of every part.
    const double whole = static_cast<double>(tensors_[tensor].bytes);
    for (const std::size_t part : origin.decoded->parts) {
      const std::uint64_t limit = base_->tensors()[part].bytes;
      const auto share = [&](std::uint64_t at) {
        const double scaled = static_cast<double>(at) / whole * static_cast<double>(limit);
        return std::min(limit, static_cast<std::uint64_t>(scaled));
      };
      const std::uint64_t begin = share(offset), end = share(offset + bytes);
      if (begin < end) base_->prefetch(part, begin, end - begin);
    }
  }

 private:
  struct Origin {
    const Decoded* decoded = nullptr;
    std::size_t tensor = 0;  // of the base, if not decoded
  };

  void add(const Decoded& decoded) {
    tensors_.push_back(decoded.about);
    origins_.push_back({&decoded, 0});
  }
  void add(std::size_t tensor) {
    tensors_.push_back(base_->tensors()[tensor]);
    origins_.push_back({nullptr, tensor});
  }

  void read_values(const Decoded& decoded, std::uint64_t first, std::uint64_t count,
                   std::span<std::byte> into) const {
    const std::uint64_t columns = decoded.columns;
    const DType type = decoded.about.type;
    std::vector<float> values(static_cast<std::size_t>(std::min(count, kTileValues)));
    for (std::uint64_t done = 0; done < count;) {
      const std::uint64_t at = first + done, column = at % columns;
      const std::uint64_t room = std::min(count - done, kTileValues);
      Tile tile{at / columns, 1, column, std::min(room, columns - column)};
      if (column == 0 && room >= columns) tile.rows = room / columns;
      decoded.matrix->load(*base_, tile, values.data());
      const std::uint64_t n = tile.values();
      find_quantizer(type)->encode(
          {values.data(), 1, n, nullptr, nullptr},
          into.data() + static_cast<std::size_t>(stored_bytes(type, done)));
      done += n;
    }
  }

  // Blocks of small floats: the codes move to where GGUF has them, the scales' bits stay.
  void read_blocks(const Decoded& decoded, std::uint64_t first, std::uint64_t count,
                   std::span<std::byte> into) const {
    const TypeInfo& type = info(decoded.about.type);
    const std::uint64_t group = decoded.about.type == DType::nvfp4 ? 16 : type.block_values;
    const std::uint64_t groups = type.block_values / group, code_bytes = type.block_values / 2;
    std::vector<std::byte> codes(static_cast<std::size_t>(count * code_bytes)),
        scales(static_cast<std::size_t>(count * groups));
    base_->read(*decoded.block_codes, first * code_bytes, codes);
    base_->read(*decoded.block_scales, first * groups, scales);
    std::byte* out = into.data();
    for (std::uint64_t b = 0; b < count; ++b, out += type.block_bytes) {
      std::memcpy(out, scales.data() + b * groups, static_cast<std::size_t>(groups));
      for (std::uint64_t g = 0; g < groups; ++g) {
        const std::byte* from = codes.data() + b * code_bytes + g * group / 2;
        const auto code = [&](std::uint64_t e) {
          return e % 2 == 0 ? from[e / 2] & std::byte{15} : from[e / 2] >> 4;
        };
        for (std::uint64_t e = 0; e < group / 2; ++e)
          out[groups + g * group / 2 + e] = code(e) | code(e + group / 2) << 4;
      }
    }
  }

  std::shared_ptr<const Source> base_;
  std::vector<Decoded> decoded_;
  std::vector<SourceTensor> tensors_;
  std::vector<Origin> origins_;
};

}  // namespace

std::shared_ptr<const Source> decode_checkpoint(std::shared_ptr<const Source> source,
                                                const Directory* directory, Warnings& warnings) {
  Checkpoint checkpoint(*source, directory, warnings);
  for (std::size_t i = 0; i < source->tensors().size(); ++i)
    std::any_of(std::begin(kFormats), std::end(kFormats),
                [&](auto take) { return !checkpoint.claimed(i) && take(checkpoint, i); });
  // Weights without a configuration may be anything.
  if (directory) refuse_rest(checkpoint);
  if (checkpoint.decoded.empty()) return source;
  return std::make_shared<DecodedSource>(std::move(source), checkpoint);
}

}  // namespace quantize
