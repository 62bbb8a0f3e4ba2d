// GGUF files as a Source: one file, or all pieces of a split set behind one tensor list. The first
// piece's metadata is the set's; the others carry only what places them in it.
#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "quantize/escape.hpp"

#include "core/input_file.hpp"
#include "formats/gguf/header.hpp"
#include "formats/readers.hpp"

namespace quantize {
namespace {

using gguf::Header;

constexpr std::string_view kNumberKey = "split.no";
constexpr std::string_view kCountKey = "split.count";
constexpr std::string_view kTensorsKey = "split.tensors.count";

// "PREFIX-NNNNN-of-MMMMM.gguf", numbers from 1.
struct PieceName {
  std::string prefix;
  std::uint64_t number = 0, count = 0;

  std::string of(std::uint64_t piece) const {
    const auto five = [](std::uint64_t n) {
      const std::string digits = std::to_string(n);
      return std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits;
    };
    return prefix + '-' + five(piece) + "-of-" + five(count) + ".gguf";
  }
};

std::optional<PieceName> parse_piece_name(std::string_view path) {
  constexpr std::string_view kForm = "-00000-of-00000.gguf";  // 0: any digit
  if (path.size() < kForm.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kForm.size());
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = tail[i] >= '0' && tail[i] <= '9';
    if (kForm[i] == '0' ? !digit : tail[i] != kForm[i]) return std::nullopt;
  }
  PieceName name{std::string(path.substr(0, path.size() - kForm.size())), 0, 0};
  std::from_chars(tail.data() + 1, tail.data() + 6, name.number);
  std::from_chars(tail.data() + 10, tail.data() + 15, name.count);
  return name;
}

struct Piece {
  std::unique_ptr<InputFile> file;
  Header header;
};

Piece open_piece(const std::string& path, std::uint64_t max_metadata_bytes, Warnings& warnings) {
  Piece piece;
  piece.file = std::make_unique<InputFile>(path);
  const InputFile& file = *piece.file;
  piece.header = gguf::read_header(
      path, file.size(),
      [&file](std::uint64_t offset, std::span<std::byte> into) { file.read(offset, into); },
      max_metadata_bytes, warnings);
  return piece;
}

[[noreturn]] void refuse_split(const std::string& path, const Header& header, std::string_view key,
                               std::string text, std::string found = {}, std::string allowed = {}) {
  std::optional<std::uint64_t> offset;
  if (header.metadata.find(key)) offset = header.value_offset(key);
  fail(ErrorCode::GG25, path, offset, std::move(text), std::move(found), std::move(allowed));
}

// A split key's value, which must have the type that the format gives it.
template <class T>
std::uint64_t split_value(const std::string& path, const Header& header, std::string_view key) {
  const T* value = header.metadata.get<T>(key);
  if (!value || *value < T{0}) {
    refuse_split(
        path, header, key,
        std::string(key) + (header.metadata.find(key) ? " is not of its type" : " is missing"));
  }
  return static_cast<std::uint64_t>(*value);
}

// 1 for a file by itself: merged files carry a count of 0 or 1, or stale keys.
std::uint64_t piece_count(const std::string& path, const Header& header) {
  return header.metadata.find(kCountKey)
             ? std::max<std::uint64_t>(1, split_value<std::uint16_t>(path, header, kCountKey))
             : 1;
}

void check_place(const std::string& path, const Header& header, const PieceName& name) {
  const std::uint64_t count = piece_count(path, header);
  if (count != name.count) {
    refuse_split(path, header, kCountKey, "split.count differs from the file's name",
                 std::to_string(count), std::to_string(name.count));
  }
  const std::uint64_t number = split_value<std::uint16_t>(path, header, kNumberKey);
  if (number + 1 != name.number) {
    refuse_split(path, header, kNumberKey, "split.no differs from the file's name",
                 std::to_string(number), std::to_string(name.number - 1));
  }
}

class GgufSource : public Source {
 public:
  GgufSource(std::string path, std::vector<Piece> pieces)
      : path_(std::move(path)),
        version_(pieces[0].header.version),
        metadata_(std::move(pieces[0].header.metadata)),
        value_offsets_(std::move(pieces[0].header.value_offsets)) {
    for (Piece& piece : pieces) {
      const auto index = static_cast<std::uint32_t>(files_.size());
      about_.push_back(piece.file->about());
      files_.push_back(std::move(piece.file));
      if (index == 0) {
        tensors_ = std::move(piece.header.tensors);
        continue;
      }
      for (SourceTensor& tensor : piece.header.tensors) {
        tensor.file = index;
        tensors_.push_back(std::move(tensor));
      }
    }
  }

  std::string_view format() const noexcept override { return "gguf"; }
  std::optional<std::uint32_t> version() const noexcept override { return version_; }
  std::string_view path() const noexcept override { return path_; }
  std::span<const SourceFile> files() const noexcept override { return about_; }
  std::span<const SourceTensor> tensors() const noexcept override { return tensors_; }
  const Metadata& metadata() const noexcept override { return metadata_; }
  std::optional<std::uint64_t> metadata_offset(std::string_view key) const noexcept override {
    const auto& entries = metadata_.entries();
    const auto at = std::find_if(entries.begin(), entries.end(),
                                 [&](const Metadata::Entry& e) { return e.first == key; });
    if (at == entries.end()) return std::nullopt;
    return value_offsets_[static_cast<std::size_t>(at - entries.begin())];
  }
  void read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> into) const override {
    const SourceTensor& t = tensors_[tensor];
    files_[t.file]->read(t.data_offset + offset, into);
  }
  void prefetch(std::size_t tensor, std::uint64_t offset, std::uint64_t bytes) const override {
    const SourceTensor& t = tensors_[tensor];
    files_[t.file]->prefetch(t.data_offset + offset, bytes);
  }
  void check_unchanged() const override {
    for (const auto& file : files_) file->check_unchanged();
  }

 private:
  std::string path_;
  std::uint32_t version_;
  Metadata metadata_;
  std::vector<std::uint64_t> value_offsets_;
  std::vector<std::unique_ptr<InputFile>> files_;
  std::vector<SourceFile> about_;
  std::vector<SourceTensor> tensors_;
};

// Checks what only the whole set can show: the number of tensors, and that no two pieces carry one
// of the same name.
void check_set(const std::vector<Piece>& pieces) {
  const Piece& first = pieces[0];
  std::vector<std::pair<const SourceTensor*, const Piece*>> tensors;
  for (const Piece& piece : pieces) {
    for (const SourceTensor& tensor : piece.header.tensors) tensors.emplace_back(&tensor, &piece);
  }
  const std::string& first_path = first.file->about().path;
  const std::uint64_t promised = split_value<std::int32_t>(first_path, first.header, kTensorsKey);
  if (promised != tensors.size()) {
    refuse_split(first_path, first.header, kTensorsKey, "number of tensors in all pieces",
                 std::to_string(tensors.size()), std::to_string(promised));
  }
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const auto& a, const auto& b) { return a.first->name < b.first->name; });
  const auto twice = std::adjacent_find(
      tensors.begin(), tensors.end(),
      [](const auto& a, const auto& b) { return a.first->name == b.first->name; });
  if (twice != tensors.end()) {
    const auto& [tensor, piece] = twice[1];
    fail(ErrorCode::GG25, piece->file->about().path, tensor->name_offset,
         "tensor " + quoted(tensor->name) + " is in two pieces of a split file");
  }
}

}  // namespace

std::shared_ptr<const Source> open_gguf(const std::string& path, std::uint64_t max_metadata_bytes,
                                        Warnings& warnings) {
  std::vector<Piece> pieces;
  pieces.push_back(open_piece(path, max_metadata_bytes, warnings));
  const std::uint64_t count = piece_count(path, pieces[0].header);
  if (count == 1) return std::make_shared<GgufSource>(path, std::move(pieces));

  const auto name = parse_piece_name(path);
  if (!name) {
    refuse_split(path, pieces[0].header, kCountKey,
                 "a piece of a split file whose name does not say which", std::to_string(count),
                 "a name that ends in -00001-of-00002.gguf or the like");
  }
  check_place(path, pieces[0].header, *name);
  Piece named = std::move(pieces[0]);
  pieces.clear();
  for (std::uint64_t number = 1; number <= count; ++number) {
    if (number == name->number) {
      pieces.push_back(std::move(named));
      continue;
    }
    const std::string piece_path = name->of(number);
    try {
      pieces.push_back(open_piece(piece_path, max_metadata_bytes, warnings));
    } catch (const Error& e) {
      if (e.code() != ErrorCode::IO01) throw;
      fail(ErrorCode::GG27, piece_path, std::nullopt,
           "piece " + std::to_string(number) + " of " + std::to_string(count) + " is missing");
    }
    PieceName place = *name;
    place.number = number;
    check_place(piece_path, pieces.back().header, place);
  }
  check_set(pieces);
  return std::make_shared<GgufSource>(path, std::move(pieces));
}

}  // namespace quantize
