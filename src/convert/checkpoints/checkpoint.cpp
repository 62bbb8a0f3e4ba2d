#include "convert/checkpoints/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "quantize/escape.hpp"
#include "quantize/quantizer.hpp"

namespace quantize::checkpoints {
namespace {

constexpr std::uint64_t kMaxSettingsBytes = std::uint64_t{64} << 20;

// Where settings are, in the order of preference: a file, and the objects inside each other.
struct Place {
  const char* file;
  std::array<const char*, 2> objects;
};
constexpr Place kPlaces[] = {{"config.json", {"quantization_config", nullptr}},
                             {"config.json", {"text_config", "quantization_config"}},
                             {"quantize_config.json", {nullptr, nullptr}},
                             {"quant_config.json", {nullptr, nullptr}},
                             {"hf_quant_config.json", {"quantization", nullptr}}};

}  // namespace

bool ends_with(std::string_view text, std::string_view end) noexcept {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string without_end(std::string_view text, std::string_view end) {
  return std::string(text.substr(0, text.size() - end.size()));
}

Checkpoint::Checkpoint(const Source& of, const Directory* directory, Warnings& collector)
    : source(of), warnings(collector), claimed_(of.tensors().size()) {
  for (std::size_t i = 0; i < source.tensors().size(); ++i)
    by_name_.emplace(source.tensors()[i].name, i);
  if (directory) read_settings(*directory);
}

void Checkpoint::read_settings(const Directory& directory) {
  for (const Place& place : kPlaces) {
    if (!directory.contains(place.file)) continue;
    auto text = directory.read(place.file, kMaxSettingsBytes);
    if (!text) continue;
    // Duplicates in config.json are reported where the model's configuration is read.
    auto document =
        JsonDocument::parse(std::move(*text), directory.path_of(place.file), {}, nullptr);
    Json at = document->root();
    for (const char* key : place.objects) {
      if (key == nullptr || !at) continue;
      at = at.find(key).value_or(Json());
    }
    if (!at || !at.is_object()) continue;
    document_ = std::move(document);
    settings_ = at;
    return;
  }
}

std::optional<std::size_t> Checkpoint::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

std::size_t Checkpoint::need(const std::string& name, std::size_t of) const {
  if (const auto found = find(name)) return *found;
  fail(ErrorCode::CK01, path_of(of), (*this)[of].name_offset,
       "tensor " + quoted((*this)[of].name) + " is packed, but " + quoted(name) + " is missing");
}

bool Checkpoint::drop(const std::string& name) {
  const auto found = find(name);
  if (found) drop(*found);
  return found.has_value();
}

void Checkpoint::add(std::string name, Shape shape, DType type, std::string scheme, Decoded how) {
  const SourceTensor& main = (*this)[how.parts.front()];
  how.about = main;
  how.about.name = std::move(name);
  how.about.type = type;
  how.about.shape = shape;
  how.about.bytes = stored_bytes(type, shape.values());
  how.about.decoded_from = std::move(scheme);
  how.about.packed_bytes = 0;
  for (const std::size_t part : how.parts) {
    claimed_[part] = true;
    how.about.packed_bytes += (*this)[part].bytes;
  }
  decoded.push_back(std::move(how));
}

std::string_view Checkpoint::text(std::string_view key) const {
  const auto value = settings_ ? settings_.find(key) : std::nullopt;
  return value && value->is_string() ? value->string() : std::string_view();
}

std::optional<std::int64_t> Checkpoint::number(std::string_view key) const {
  const auto value = settings_ ? settings_.find(key) : std::nullopt;
  return value && value->is_number() ? value->as_i64() : std::nullopt;
}

std::optional<std::int64_t> Checkpoint::number(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys)
    if (const auto value = number(key)) return value;
  return std::nullopt;
}

std::vector<Json> Checkpoint::weight_groups() const {
  std::vector<Json> out;
  const auto groups = settings_ ? settings_.find("config_groups") : std::nullopt;
  if (groups && groups->is_object())
    for (const Json group : groups->children())
      if (const auto weights = group.find("weights"); weights && weights->is_object())
        out.push_back(*weights);
  return out;
}

bool Checkpoint::flag(std::string_view key) const {
  const auto value = settings_ ? settings_.find(key) : std::nullopt;
  return value && value->is_boolean() && value->boolean();
}

bool Checkpoint::asymmetric() const {
  const std::vector<Json> groups = weight_groups();
  return !groups.empty() && std::all_of(groups.begin(), groups.end(), [](const Json& weights) {
    const auto symmetric = weights.find("symmetric");
    return symmetric && symmetric->is_boolean() && !symmetric->boolean();
  });
}

bool Checkpoint::varies() const {
  const auto filled = [&](std::string_view key) {
    const auto value = settings_ ? settings_.find(key) : std::nullopt;
    return value && value->size() > 0;
  };
  return filled("dynamic") || filled("extra_config") || filled("quantized_layers") ||
         weight_groups().size() > 1;
}

std::vector<std::uint64_t> Checkpoint::sizes(bool of_rows) const {
  std::vector<std::uint64_t> out;
  const auto take = [&](std::optional<Json> value) {
    const auto size = value && value->is_number() ? value->as_i64() : std::nullopt;
    if (size && *size > 0) out.push_back(static_cast<std::uint64_t>(*size));
  };
  const auto take_block = [&](const Json& object, std::string_view key) {
    const auto block = object.find(key);
    if (!block || block->size() != 2) return;
    const Json rows = block->first_child();
    take(of_rows ? rows : rows.next_sibling());
  };
  if (!settings_) return out;
  if (!of_rows) {
    take(settings_.find("group_size"));
    take(settings_.find("q_group_size"));
  }
  take_block(settings_, "weight_block_size");
  for (const Json weights : weight_groups()) {
    if (!of_rows) take(weights.find("group_size"));
    take_block(weights, "block_structure");
  }
  return out;
}

std::uint64_t Checkpoint::group_size(std::size_t scales, std::uint64_t numbers,
                                     std::uint64_t groups, bool of_rows) const {
  const std::vector<std::uint64_t> configured = sizes(of_rows);
  if (groups == numbers) return 1;
  for (const std::uint64_t size : configured)
    if (ceil_divide(numbers, size) == groups) return size;
  const bool free = configured.empty() || varies();
  if (free && groups != 0 && numbers % groups == 0) return numbers / groups;
  const SourceTensor& tensor = (*this)[scales];
  const std::string what = std::to_string(groups) + " scales for " + std::to_string(numbers) +
                           (of_rows ? " rows" : " columns");
  if (configured.empty())
    refuse(ErrorCode::CK02, scales, "the groups of " + quoted(tensor.name) + " have no even size",
           what);
  refuse_settings(ErrorCode::CK03, "the configured group size contradicts " + quoted(tensor.name),
                  what, "groups of " + std::to_string(configured.front()));
}

std::string Checkpoint::path_of(std::size_t tensor) const {
  return source.files()[(*this)[tensor].file].path;
}

void Checkpoint::refuse(ErrorCode code, std::size_t tensor, std::string text, std::string found,
                        std::string allowed) const {
  fail(code, path_of(tensor), (*this)[tensor].shape_offset, std::move(text), std::move(found),
       std::move(allowed));
}

void Checkpoint::refuse_settings(ErrorCode code, std::string text, std::string found,
                                 std::string allowed) const {
  if (!settings_)
    fail(code, std::string(source.path()), {}, std::move(text), std::move(found),
         std::move(allowed));
  fail(code, document_->file(), settings_.offset(), std::move(text), std::move(found),
       std::move(allowed));
}

void Checkpoint::expect_type(std::size_t tensor, std::initializer_list<DType> types) const {
  if (std::find(types.begin(), types.end(), (*this)[tensor].type) != types.end()) return;
  std::string allowed;
  for (const DType type : types)
    allowed += (allowed.empty() ? "" : ", ") + std::string(info(type).name);
  fail(ErrorCode::CK02, path_of(tensor), (*this)[tensor].type_offset,
       "tensor " + quoted((*this)[tensor].name) + " has the wrong type",
       std::string(info((*this)[tensor].type).name), allowed);
}

void Checkpoint::expect_shape(std::size_t tensor,
                              std::initializer_list<std::uint64_t> shape) const {
  if ((*this)[tensor].shape == Shape(shape)) return;
  refuse(ErrorCode::CK02, tensor, "tensor " + quoted((*this)[tensor].name) + " has the wrong shape",
         (*this)[tensor].shape.text(), Shape(shape).text());
}

void Checkpoint::expect_rank(std::size_t tensor, std::size_t rank) const {
  const Shape& shape = (*this)[tensor].shape;
  if (shape.rank() == rank && shape.values() != 0) return;
  refuse(ErrorCode::CK02, tensor, "tensor " + quoted((*this)[tensor].name) + " has the wrong shape",
         shape.text(), std::to_string(rank) + " dimensions, none of them 0");
}

void Checkpoint::expect_bytes(std::size_t tensor, std::uint64_t bytes) const {
  if ((*this)[tensor].bytes == bytes) return;
  refuse(ErrorCode::CK02, tensor, "tensor " + quoted((*this)[tensor].name) + " has the wrong size",
         (*this)[tensor].shape.text() + ", " + std::to_string((*this)[tensor].bytes) + " bytes",
         std::to_string(bytes) + " bytes");
}

std::vector<float> Checkpoint::numbers(std::size_t tensor, std::uint64_t count) const {
  const SourceTensor& t = (*this)[tensor];
  expect_type(tensor, {DType::f32, DType::f16, DType::bf16});
  if (t.shape.values() != count)
    refuse(ErrorCode::CK02, tensor, "tensor " + quoted(t.name) + " has the wrong shape",
           t.shape.text(), std::to_string(count) + " values");
  std::vector<std::byte> raw(static_cast<std::size_t>(t.bytes));
  source.read(tensor, 0, raw);
  std::vector<float> out(static_cast<std::size_t>(count));
  find_quantizer(t.type)->decode(raw.data(), count, out.data());
  return out;
}

std::vector<std::uint64_t> Checkpoint::integers(std::size_t tensor, std::uint64_t count) const {
  const SourceTensor& t = (*this)[tensor];
  const std::uint64_t width = info(t.type).block_bytes;
  expect_bytes(tensor, count * width);
  std::vector<std::byte> raw(static_cast<std::size_t>(t.bytes));
  source.read(tensor, 0, raw);
  std::vector<std::uint64_t> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::memcpy(&out[i], raw.data() + i * width, static_cast<std::size_t>(width));
    if (out[i] > std::uint64_t{1} << 40)
      refuse(ErrorCode::CK02, tensor, "tensor " + quoted(t.name) + " holds an unusable number",
             std::to_string(out[i]));
  }
  return out;
}

std::string Checkpoint::content(std::size_t tensor, std::uint64_t limit) const {
  const SourceTensor& t = (*this)[tensor];
  if (t.bytes > limit)
    refuse(ErrorCode::CK02, tensor, "tensor " + quoted(t.name) + " is too large",
           std::to_string(t.bytes) + " bytes", "at most " + std::to_string(limit));
  std::string out(static_cast<std::size_t>(t.bytes), '\0');
  source.read(tensor, 0, std::as_writable_bytes(std::span(out)));
  return out;
}

}  // namespace quantize::checkpoints
