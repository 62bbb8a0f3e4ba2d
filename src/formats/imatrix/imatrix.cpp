// Importance matrices in both file forms. What they hold is brought to one meaning here: the mean
// square of each input column, computed with the reference quantizer's arithmetic (one float
// division per weight).
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "quantize/escape.hpp"
#include "quantize/importance.hpp"

#include "core/byte_reader.hpp"
#include "core/input_file.hpp"
#include "formats/readers.hpp"

namespace quantize {
namespace {

constexpr ErrorCode kCode = ErrorCode::QZ07;
constexpr std::uint64_t kMaxNameBytes = 512;
constexpr std::uint64_t kMaxLength = 0x7FFFFFFF;  // of the legacy form's signed numbers
constexpr std::uint64_t kMaxMetadataBytes = std::uint64_t{64} << 20;

// The reference quantizer aborts on the first, and a negative weight has no meaning for it.
void check_weight(float value, const std::string& file, std::uint64_t offset,
                  const std::string& name) {
  if (std::isfinite(value) && !(value < 0)) return;
  fail(kCode, file, offset,
       "an importance weight of " + quoted(name) + " is not a finite number >= 0",
       std::isnan(value) ? "NaN"
       : value < 0       ? "a negative number"
                         : "infinity");
}

void finish(ImportanceData& data, const std::string& file) {
  std::stable_sort(
      data.entries.begin(), data.entries.end(),
      [](const ImportanceEntry& a, const ImportanceEntry& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(
      data.entries.begin(), data.entries.end(),
      [](const ImportanceEntry& a, const ImportanceEntry& b) { return a.name == b.name; });
  if (twice != data.entries.end()) {
    fail(kCode, file, std::nullopt, "entry " + quoted(twice->name) + " appears twice");
  }
}

// ---- GGUF form: two tensors per entry, NAME.in_sum2 and NAME.counts

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

class GgufImportance {
 public:
  GgufImportance(const std::string& path, Warnings& warnings)
      : path_(path), source_(open_gguf(path, kMaxMetadataBytes, warnings)) {}

  ImportanceData load() {
    data_.name = path_;
    const auto* datasets =
        std::get_if<std::vector<std::string>>(&required<MetaArray>("imatrix.datasets"));
    if (!datasets) wrong("imatrix.datasets");
    data_.datasets = *datasets;
    data_.chunks = required<std::uint32_t>("imatrix.chunk_count");
    required<std::uint32_t>("imatrix.chunk_size");
    pair_tensors();
    finish(data_, path_);
    return std::move(data_);
  }

 private:
  template <class T>
  const T& required(std::string_view key) const {
    const T* value = source_->metadata().get<T>(key);
    if (!value) wrong(key);
    return *value;
  }
  [[noreturn]] void wrong(std::string_view key) const {
    fail(kCode, path_, source_->metadata_offset(key),
         "importance data lack the key " + std::string(key) + ", or it is of another type");
  }

  // Every tensor's name without its ending, sorted: the two of an entry stand side by side.
  void pair_tensors() {
    struct Part {
      std::string_view name;
      bool sums;
      std::size_t tensor;
    };
    std::vector<Part> parts;
    const auto tensors = source_->tensors();
    if (tensors.empty()) fail(kCode, path_, std::nullopt, "importance data without any entry");
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::string_view name = tensors[i].name;
      const bool sums =
          name.size() > kSums.size() && name.substr(name.size() - kSums.size()) == kSums;
      const std::string_view ending = sums ? kSums : kCounts;
      if (name.size() <= ending.size() || name.substr(name.size() - ending.size()) != ending) {
        fail(kCode, tensor_file(i), tensors[i].name_offset,
             "tensor " + quoted(name) + " is no part of importance data", {},
             "NAME.in_sum2 and NAME.counts");
      }
      if (tensors[i].type != DType::f32) {
        fail(kCode, tensor_file(i), tensors[i].type_offset,
             "tensor " + quoted(name) + " of importance data is not F32",
             std::string(info(tensors[i].type).name), "f32");
      }
      parts.push_back({name.substr(0, name.size() - ending.size()), sums, i});
    }
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
      return a.name != b.name ? a.name < b.name : a.sums < b.sums;
    });
    for (std::size_t i = 0; i < parts.size(); i += 2) {
      if (i + 1 == parts.size() || parts[i].name != parts[i + 1].name) {
        const SourceTensor& alone = tensors[parts[i].tensor];
        fail(kCode, tensor_file(parts[i].tensor), alone.name_offset,
             "tensor " + quoted(alone.name) + " of importance data has no partner", {},
             "NAME.in_sum2 and NAME.counts");
      }
      add(std::string(parts[i].name), parts[i + 1].tensor, parts[i].tensor);
    }
  }

  void add(std::string name, std::size_t sums, std::size_t counts) {
    const SourceTensor& about = source_->tensors()[sums];
    ImportanceEntry entry{std::move(name), floats(sums)};
    const std::vector<float> count = floats(counts);
    if (count.empty() || entry.weights.empty() || entry.weights.size() % count.size() != 0) {
      fail(kCode, tensor_file(sums), about.shape_offset,
           "size of importance data of " + quoted(entry.name), std::to_string(entry.weights.size()),
           "a positive multiple of its " + std::to_string(count.size()) + " counts");
    }
    const std::size_t columns = entry.weights.size() / count.size();
    for (std::size_t m = 0; m < count.size(); ++m) {
      check_weight(count[m], tensor_file(counts), place_of(counts, m), entry.name);
      // A count rounds to a whole number of tokens; a matrix that none passed weighs all alike.
      const float tokens = std::round(count[m]);
      for (std::size_t i = m * columns; i < (m + 1) * columns; ++i) {
        check_weight(entry.weights[i], tensor_file(sums), place_of(sums, i), entry.name);
        entry.weights[i] = tokens > 0 ? entry.weights[i] / tokens : 1.0f;
      }
    }
    data_.entries.push_back(std::move(entry));
  }

  std::vector<float> floats(std::size_t tensor) const {
    const std::uint64_t count = source_->tensors()[tensor].shape.values();
    std::vector<float> out(count);
    const auto fetch = [&](std::uint64_t offset, std::span<std::byte> into) {
      source_->read(tensor, offset, into);
    };
    ByteReader in(path_, count * sizeof(float), fetch, kCode);
    for (float& value : out) value = in.number<float>();
    return out;
  }
  const std::string& tensor_file(std::size_t tensor) const {
    return source_->files()[source_->tensors()[tensor].file].path;
  }
  std::uint64_t place_of(std::size_t tensor, std::size_t value) const {
    return source_->tensors()[tensor].data_offset + value * sizeof(float);
  }

  std::string path_;
  std::shared_ptr<const Source> source_;
  ImportanceData data_;
};

// ---- legacy form: a count, entries, and an optional trailer

class LegacyImportance {
 public:
  explicit LegacyImportance(const std::string& path, ByteReader in)
      : path_(path), in_(std::move(in)) {}

  ImportanceData load() {
    ImportanceData data;
    data.name = path_;
    const std::uint64_t place = in_.position();
    const auto count = in_.number<std::int32_t>();
    constexpr std::uint64_t kSmallestEntry = 16;  // three numbers and one value
    if (count < 1 || static_cast<std::uint64_t>(count) > in_.left() / kSmallestEntry) {
      fail(kCode, path_, place, "this is no importance data, or its number of entries is wrong",
           std::to_string(count), "1 to " + std::to_string(in_.left() / kSmallestEntry));
    }
    for (std::int32_t i = 0; i < count; ++i) data.entries.push_back(entry());
    if (in_.left() != 0) {
      data.chunks =
          static_cast<std::uint32_t>(std::max(std::int32_t{0}, in_.number<std::int32_t>()));
      data.datasets.push_back(in_.text(length("the dataset's name", 0)));
    }
    finish(data, path_);
    return data;
  }

 private:
  // A signed 32-bit length of things to come, each of `size` bytes.
  std::uint64_t length(std::string_view of, std::int64_t least, std::uint64_t size = 1,
                       std::uint64_t cap = kMaxLength) {
    const std::uint64_t place = in_.position();
    const std::int64_t value = in_.number<std::int32_t>();
    const std::uint64_t most = std::min(cap, in_.left() / size);
    if (value < least || static_cast<std::uint64_t>(value) > most) {
      fail(kCode, path_, place, "length of " + std::string(of) + " in importance data",
           std::to_string(value), std::to_string(least) + " to " + std::to_string(most));
    }
    return static_cast<std::uint64_t>(value);
  }

  ImportanceEntry entry() {
    ImportanceEntry out;
    out.name = in_.text(length("a name", 1, 1, kMaxNameBytes));
    const auto calls = in_.number<std::int32_t>();
    const std::uint64_t values = length("the values of " + quoted(out.name), 1, sizeof(float));
    out.weights.reserve(values);
    for (std::uint64_t i = 0; i < values; ++i) {
      const std::uint64_t place = in_.position();
      const float value = in_.number<float>();
      check_weight(value, path_, place, out.name);
      out.weights.push_back(calls > 0 ? value / static_cast<float>(calls) : value);
    }
    return out;
  }

  std::string path_;
  ByteReader in_;
};

}  // namespace

const ImportanceEntry* ImportanceData::find(std::string_view tensor) const noexcept {
  const auto at = std::lower_bound(
      entries.begin(), entries.end(), tensor,
      [](const ImportanceEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return at != entries.end() && at->name == tensor ? &*at : nullptr;
}

ImportanceData load_importance(const std::string& path, Warnings& warnings) {
  const InputFile file(path);
  ByteReader in(
      path, file.size(),
      [&file](std::uint64_t offset, std::span<std::byte> into) { file.read(offset, into); }, kCode);
  // "GGUF" cannot begin the legacy form: it would stand for a billion entries.
  constexpr std::string_view kMagic = "GGUF";
  char start[4] = {};
  if (file.size() >= sizeof start) file.read(0, std::as_writable_bytes(std::span(start)));
  if (std::string_view(start, sizeof start) == kMagic) return GgufImportance(path, warnings).load();
  return LegacyImportance(path, std::move(in)).load();
}

void filter_importance(ImportanceData& data, const std::vector<std::string>& include,
                       const std::vector<std::string>& exclude) {
  const auto among = [](const std::string& name, const std::vector<std::string>& parts) {
    return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
      return name.find(part) != std::string::npos;
    });
  };
  data.entries.erase(std::remove_if(data.entries.begin(), data.entries.end(),
                                    [&](const ImportanceEntry& entry) {
                                      return (!include.empty() && !among(entry.name, include)) ||
                                             among(entry.name, exclude);
                                    }),
                     data.entries.end());
}

}  // namespace quantize
