// `quantize inspect`: what a file holds. As JSON, one document, a row of a list on each line:
//
//   { "schema": "quantize-inspect-1", "path", "format", "version": n | null,
//     "files": [{ "path", "bytes" }],
//     "tensor_count", "weights", "tensor_bytes", "bits_per_weight": x | null,
//     "types": [{ "type", "tensors", "weights", "bytes" }],
//     "metadata": [{ "key", "type", "value" }
//                | { "key", "type": "str", "bytes", "sha256" }            a long string
//                | { "key", "type": "arr", "elements", "count", "first": [...] }],
//     "tensors": [{ "name", "type", "shape", "bytes", "file", "offset" }] }
//
// Shapes are outermost first. Output is ASCII; a string that is not UTF-8 becomes { "hex": "..." },
// a number that is not finite { "float": "nan" | "inf" | "-inf" }. With full_values every metadata
// row has "value", and arrays "elements" beside it.
#include "quantize/inspect.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <ostream>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "quantize/escape.hpp"

#include "core/sha256.hpp"
#include "core/utf8.hpp"
#include "report/numbers.hpp"

namespace quantize {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongString = 200;   // bytes; longer ones are shown as size and digest
constexpr std::size_t kFirstElements = 8;  // of an array
constexpr std::size_t kKeyBytes = 200;
constexpr std::size_t kElementBytes = 40;  // of a string in an array
constexpr std::size_t kEverything = std::string::npos;
constexpr std::size_t kMaxColumn = 44;  // what a name may widen its column to

struct TypeTotal {
  std::uint64_t tensors = 0, weights = 0, bytes = 0;
};

struct Totals {
  TypeTotal all;
  std::map<DType, TypeTotal> by_type;

  explicit Totals(const Source& source) {
    for (const SourceTensor& tensor : source.tensors()) {
      for (TypeTotal* total : {&all, &by_type[tensor.type]}) {
        ++total->tensors;
        total->weights += tensor.shape.values();
        total->bytes += tensor.packed_bytes != 0 ? tensor.packed_bytes : tensor.bytes;
      }
    }
  }
  double bits_per_weight() const {
    return static_cast<double>(all.bytes) * 8 / static_cast<double>(all.weights);
  }
};

// Calls `visit` with each of the first `limit` elements.
template <class Visit>
void for_first(const MetaArray& array, std::size_t limit, const Visit& visit) {
  std::visit(
      [&](const auto& elements) {
        if constexpr (requires { elements.size(); }) {
          using Element = typename std::decay_t<decltype(elements)>::value_type;
          const std::size_t count = std::min(limit, elements.size());
          for (std::size_t i = 0; i < count; ++i) {
            const Element& element = elements[i];
            visit(element);
          }
        }
      },
      array);
}

// ---- text

template <class T>
std::string scalar_text(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else {
    char text[64];
    const auto end = std::to_chars(std::begin(text), std::end(text), value);
    return {text, end.ptr};
  }
}

std::string value_text(const std::string& text, bool full) {
  if (full || text.size() <= kLongString) return quoted(text, kEverything);
  return std::to_string(text.size()) + " bytes, SHA-256 " + sha256_hex(text);
}

std::string value_text(const MetaArray& array, bool full) {
  std::string out = "[";
  for_first(array, full ? kEverything : kFirstElements, [&](const auto& element) {
    if (out.size() > 1) out += ", ";
    if constexpr (std::is_same_v<std::decay_t<decltype(element)>, std::string>) {
      out += quoted(element, full ? kEverything : kElementBytes);
    } else {
      out += scalar_text(element);
    }
  });
  if (!full && element_count(array) > kFirstElements) out += ", ...";
  return out + ']';
}

template <class T>
std::string value_text(const T& value, bool) {
  return scalar_text(value);
}

std::string type_text(const MetaValue& value) {
  const auto* array = std::get_if<MetaArray>(&value);
  if (!array) return std::string(meta_type_name(meta_type(value)));
  return std::string(meta_type_name(element_type(*array))) + '[' +
         std::to_string(element_count(*array)) + ']';
}

struct Column {
  std::string_view heading;
  bool right;                                    // numbers
  std::function<std::string(std::size_t)> cell;  // of a row
};

// Indented, so that no line begins with text of the input. Cells are made twice, once to find the
// widths, so that a million rows need no memory.
void write_table(std::string_view title, const std::vector<Column>& columns, std::size_t rows,
                 std::ostream& out) {
  out << '\n' << title << " (" << rows << ")\n";
  if (rows == 0) return;
  std::vector<std::size_t> widths;
  for (const Column& column : columns) {
    std::size_t width = column.heading.size();
    if (&column != &columns.back() || column.right) {
      for (std::size_t row = 0; row < rows && width < kMaxColumn; ++row) {
        width = std::max(width, column.cell(row).size());
      }
    }
    widths.push_back(std::min(width, kMaxColumn));
  }
  const auto line = [&](const auto& text_of) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::string text(text_of(columns[i]));
      const std::string space(widths[i] - std::min(widths[i], text.size()), ' ');
      out << "  " << (columns[i].right ? space + text : text);
      if (!columns[i].right && i + 1 < columns.size()) out << space;
    }
    out << '\n';
  };
  line([](const Column& column) { return column.heading; });
  for (std::size_t row = 0; row < rows; ++row) {
    line([row](const Column& column) { return column.cell(row); });
  }
}

void write_text(const Source& source, bool full, std::ostream& out) {
  const Totals totals(source);
  const auto files = source.files();
  const auto tensors = source.tensors();
  const auto& entries = source.metadata().entries();
  std::uint64_t file_bytes = 0;
  for (const SourceFile& file : files) file_bytes += file.bytes;

  out << "File      " << quoted(source.path(), kEverything) << '\n';
  out << "Format    " << source.format();
  if (const auto version = source.version()) out << ", version " << *version;
  out << "\nSize      " << report::grouped(file_bytes) << " bytes";
  if (files.size() > 1) out << " in " << files.size() << " files";
  out << "\nTensors   " << report::grouped(totals.all.tensors);
  out << "\nWeights   " << report::grouped(totals.all.weights);
  out << "\nData      " << report::grouped(totals.all.bytes) << " bytes";
  if (totals.all.weights != 0) {
    out << ", " << report::fixed(totals.bits_per_weight(), 4) << " bits per weight";
  }
  out << "\nTypes    ";
  for (const auto& [type, total] : totals.by_type) {
    out << (type == totals.by_type.begin()->first ? " " : ", ") << total.tensors << " x "
        << info(type).name;
  }
  out << '\n';

  const auto index = [](std::size_t row) { return std::to_string(row); };
  if (files.size() > 1) {
    write_table(
        "Files",
        {{"#", true, index},
         {"bytes", true, [&](std::size_t i) { return report::grouped(files[i].bytes); }},
         {"path", false, [&](std::size_t i) { return quoted(files[i].path, kEverything); }}},
        files.size(), out);
  }
  const auto value = [&](std::size_t i) {
    return std::visit([&](const auto& v) { return value_text(v, full); }, entries[i].second);
  };
  write_table("Metadata",
              {{"key", false, [&](std::size_t i) { return escape(entries[i].first, kKeyBytes); }},
               {"type", false, [&](std::size_t i) { return type_text(entries[i].second); }},
               {"value", false, value}},
              entries.size(), out);
  std::vector<Column> columns = {
      {"#", true, index},
      {"name", false, [&](std::size_t i) { return escape(tensors[i].name, kEverything); }},
      {"type", false, [&](std::size_t i) { return std::string(info(tensors[i].type).name); }},
      {"shape", false, [&](std::size_t i) { return tensors[i].shape.text(); }},
      {"bytes", true, [&](std::size_t i) { return report::grouped(tensors[i].bytes); }},
      {"offset", true, [&](std::size_t i) { return report::grouped(tensors[i].data_offset); }}};
  if (files.size() > 1) {
    columns.push_back({"file", true, [&](std::size_t i) { return index(tensors[i].file); }});
  }
  write_table("Tensors", columns, tensors.size(), out);
}

// ---- JSON

Json json_of(std::string_view text) {
  if (utf8::is_valid(text)) return std::string(text);
  std::string hex;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15u];
  }
  return Json{{"hex", std::move(hex)}};
}

Json json_of(double value) {
  if (std::isfinite(value)) return value;
  return Json{{"float", std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"}};
}
// The shortest digits that give the same float back, not those of the double.
Json json_of(float value) {
  if (!std::isfinite(value)) return json_of(static_cast<double>(value));
  const std::string text = scalar_text(value);
  double shortest = 0;
  std::from_chars(text.data(), text.data() + text.size(), shortest);
  return shortest;
}
template <class T>
requires std::is_integral_v<T> Json json_of(T value) { return value; }

Json elements_of(const MetaArray& array, std::size_t limit) {
  Json list = Json::array();
  for_first(array, limit, [&](const auto& element) { list.push_back(json_of(element)); });
  return list;
}

Json row_of(const Metadata::Entry& entry, bool full) {
  Json row = {{"key", json_of(std::string_view(entry.first))},
              {"type", meta_type_name(meta_type(entry.second))}};
  const auto* array = std::get_if<MetaArray>(&entry.second);
  const auto* text = std::get_if<std::string>(&entry.second);
  if (array) {
    row["elements"] = meta_type_name(element_type(*array));
    row["count"] = element_count(*array);
    row[full ? "value" : "first"] = elements_of(*array, full ? kEverything : kFirstElements);
  } else if (text && !full && text->size() > kLongString) {
    row["bytes"] = text->size();
    row["sha256"] = sha256_hex(*text);
  } else {
    std::visit(
        [&](const auto& value) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, MetaArray>) {
            row["value"] = json_of(value);
          }
        },
        entry.second);
  }
  return row;
}

std::string line_of(const Json& json) { return json.dump(-1, ' ', /*ensure_ascii=*/true); }

// One row per line, written as it is made: a million keys never stand in memory as a tree.
template <class Items, class RowOf>
void write_rows(std::string_view name, const Items& items, const RowOf& row_of, std::ostream& out) {
  out << ",\n \"" << name << "\": [";
  const char* separator = "\n  ";
  for (const auto& item : items) {
    out << separator << line_of(row_of(item));
    separator = ",\n  ";
  }
  out << ']';
}

void write_json(const Source& source, bool full, std::ostream& out) {
  const Totals totals(source);
  const auto version = source.version();
  out << "{\"schema\": \"quantize-inspect-1\"";
  const auto field = [&out](std::string_view name, const Json& value) {
    out << ",\n \"" << name << "\": " << line_of(value);
  };
  field("path", json_of(source.path()));
  field("format", source.format());
  field("version", version ? Json(*version) : Json(nullptr));
  write_rows(
      "files", source.files(),
      [](const SourceFile& file) {
        return Json{{"path", json_of(std::string_view(file.path))}, {"bytes", file.bytes}};
      },
      out);
  field("tensor_count", totals.all.tensors);
  field("weights", totals.all.weights);
  field("tensor_bytes", totals.all.bytes);
  field("bits_per_weight",
        totals.all.weights != 0 ? Json(totals.bits_per_weight()) : Json(nullptr));
  write_rows(
      "types", totals.by_type,
      [](const auto& row) {
        return Json{{"type", info(row.first).name},
                    {"tensors", row.second.tensors},
                    {"weights", row.second.weights},
                    {"bytes", row.second.bytes}};
      },
      out);
  write_rows(
      "metadata", source.metadata().entries(),
      [full](const Metadata::Entry& entry) { return row_of(entry, full); }, out);
  write_rows(
      "tensors", source.tensors(),
      [](const SourceTensor& tensor) {
        Json shape = Json::array();
        for (const std::uint64_t dim : tensor.shape.dims()) shape.push_back(dim);
        Json row = {{"name", json_of(std::string_view(tensor.name))},
                    {"type", info(tensor.type).name},
                    {"shape", std::move(shape)},
                    {"bytes", tensor.packed_bytes != 0 ? tensor.packed_bytes : tensor.bytes},
                    {"file", tensor.file},
                    {"offset", tensor.data_offset}};
        if (!tensor.decoded_from.empty())
          row["decoded_from"] = json_of(std::string_view(tensor.decoded_from));
        return row;
      },
      out);
  out << "}\n";
}

}  // namespace

void write_inspection(const Source& source, const InspectOptions& options, std::ostream& out) {
  options.json ? write_json(source, options.full_values, out)
               : write_text(source, options.full_values, out);
}

}  // namespace quantize
