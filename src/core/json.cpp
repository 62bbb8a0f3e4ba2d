// The tree is one array of 8-byte nodes in the order of the text. A container knows where its
// subtree ends, a value whether it is the last of its container; everything else is read from the
// text, in which strings are decoded in place (no escape is shorter than what it stands for).
#include "core/json.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <utility>

#include "quantize/escape.hpp"

#include "core/utf8.hpp"

namespace quantize {
namespace {

// A member of an object is two nodes, its key and its value. A superseded key is followed by a
// later one of the same name; it and its value are skipped.
enum class NodeKind : std::uint8_t { literal, number, string, object, array, key, superseded };

struct Node {
  std::uint32_t begin;  // of the first byte, in the text
  std::uint32_t kind : 3;
  std::uint32_t last : 1;     // of its container
  std::uint32_t extent : 28;  // strings: decoded bytes; numbers: bytes; containers: subtree's end
};
static_assert(sizeof(Node) == 8);

constexpr std::uint64_t kMaxText = (std::uint64_t{1} << 28) - 1;
constexpr std::size_t kMaxNumber = 1000;  // bytes
constexpr std::size_t kScanned = 8;       // objects of at most so many members need no index

NodeKind kind_of(const Node& node) noexcept { return static_cast<NodeKind>(node.kind); }
bool is_container(const Node& node) noexcept {
  return kind_of(node) == NodeKind::object || kind_of(node) == NodeKind::array;
}

// Members of a large object sorted by hash, then key, then place.
struct Slot {
  std::uint32_t hash;
  std::uint32_t key;  // node
};
struct ObjectIndex {
  std::uint32_t object;  // node
  std::uint32_t begin;   // into the slots
  std::uint32_t end;
};

std::uint32_t hash_of(std::string_view key) noexcept {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(key));
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Bytes of the number that `text` begins with, 0 if JSON has no such number.
std::size_t number_length(std::string_view text) noexcept {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t first = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at - first;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const bool zero = at < text.size() && text[at] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return 0;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return 0;
  }
  return at;
}

// Of a well-formed number that no double can hold: is it too small rather than too large?
bool is_tiny(std::string_view number) noexcept {
  const std::size_t e = std::min(number.find_first_of("eE"), number.size());
  std::int64_t exponent = 0;
  if (e < number.size()) {
    const std::size_t first = e + 1 + (number[e + 1] == '+' ? 1 : 0);
    const auto result =
        std::from_chars(number.data() + first, number.data() + number.size(), exponent);
    if (result.ec != std::errc{}) return number[first] == '-';
  }
  const std::string_view mantissa = number.substr(0, e);
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t leading = mantissa.find_first_of("123456789");
  if (leading == std::string_view::npos) return true;
  const auto place = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(leading);
  return place + exponent < 0;  // both limits are hundreds away from here
}

void append_utf8(std::uint32_t c, char*& to) noexcept {
  const auto put = [&to](std::uint32_t byte) { *to++ = static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace

struct JsonDocument::Data {
  std::string text;
  std::string file;
  std::uint64_t base_offset = 0;
  std::vector<Node> nodes;
  std::vector<Slot> slots;
  std::vector<ObjectIndex> indexes;  // sorted by object

  std::string_view string_at(std::uint32_t node) const noexcept {
    return std::string_view(text).substr(nodes[node].begin + 1, nodes[node].extent);
  }
  std::uint32_t after(std::uint32_t node) const noexcept {
    return is_container(nodes[node]) ? nodes[node].extent : node + 1;
  }
  // From the first node of a member or element: its value, past superseded members.
  std::uint32_t value_from(std::uint32_t node) const noexcept {
    while (kind_of(nodes[node]) == NodeKind::superseded) node = after(node + 1);
    return kind_of(nodes[node]) == NodeKind::key ? node + 1 : node;
  }
};

namespace {

// One pass over the text with a stack of open containers.
class Parser {
 public:
  Parser(JsonDocument::Data& data, const JsonRules& rules, Warnings* warnings)
      : data_(data), rules_(rules), warnings_(warnings), text_(data.text) {}

  void parse() {
    check_encoding();
    // Every node but the root's follows one of these bytes: one allocation, of which only what is
    // used becomes resident.
    data_.nodes.reserve(
        1 + static_cast<std::size_t>(std::count_if(text_.begin(), text_.end(), [](char c) {
          return c == ',' || c == ':' || c == '[' || c == '{';
        })));
    skip_space();
    value();
    while (!open_.empty()) step();
    skip_space();
    if (at_ < text_.size()) {
      refuse_unless_nul();
      refuse(rules_.trailing, at_, "bytes after the end of the JSON value");
    }
    std::sort(data_.indexes.begin(), data_.indexes.end(),
              [](const ObjectIndex& a, const ObjectIndex& b) { return a.object < b.object; });
  }

 private:
  struct Open {
    std::uint32_t node;
    std::uint32_t last_child = 0;  // none, since 0 is the root
    std::uint32_t children = 0;
  };

  [[noreturn]] void refuse(ErrorCode code, std::size_t at, std::string text) const {
    const std::string where = pointer();
    if (!where.empty()) text += ", at " + quoted(where, 80);
    fail(code, data_.file, rules_.base_offset + at, std::move(text));
  }
  [[noreturn]] void refuse_token(std::string_view wanted) const {
    refuse_unless_nul();
    if (at_ >= text_.size()) {
      refuse(rules_.syntax, at_, "the JSON text ends early, expected " + std::string(wanted));
    }
    const utf8::Decoded d = utf8::decode(text_, at_);
    refuse(rules_.syntax, at_,
           "expected " + std::string(wanted) + ", not " + quoted(text_.substr(at_, d.length)));
  }
  void refuse_unless_nul() const {
    if (rules_.nul_is_encoding && at_ < text_.size() && text_[at_] == '\0') {
      refuse(rules_.encoding, at_, "a NUL byte in the JSON text");
    }
  }
  // The place of the innermost open container's current child, as a JSON pointer.
  std::string pointer() const {
    std::string path;
    for (const Open& open : open_) {
      if (kind_of(data_.nodes[open.node]) == NodeKind::array) {
        path += '/' + std::to_string(open.children);
      } else if (&open == &open_.back() && last_key_ != kNone) {
        path.append("/").append(data_.string_at(last_key_));
      } else if (&open != &open_.back()) {
        const std::uint32_t child = (&open + 1)->node;
        path.append("/").append(data_.string_at(child - 1));
      }
      if (path.size() > 200) break;
    }
    return path;
  }

  void check_encoding() const {
    if (text_.size() > kMaxText) {
      fail(ErrorCode::JS06, data_.file, {}, "the JSON text is too large",
           std::to_string(text_.size()) + " bytes", "at most " + std::to_string(kMaxText));
    }
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") {
      refuse(rules_.encoding, 0, "begins with a byte order mark: remove the first three bytes");
    }
    const std::size_t bad = utf8::first_invalid(text_);
    if (bad != text_.size()) refuse(rules_.encoding, bad, "not valid UTF-8");
  }

  void skip_space() noexcept {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool take(char c) noexcept {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::uint32_t add(NodeKind kind, std::size_t begin, std::size_t extent) {
    Node node{};
    node.begin = static_cast<std::uint32_t>(begin);
    node.kind = static_cast<std::uint32_t>(kind) & 7u;
    node.extent = static_cast<std::uint32_t>(extent) & 0xFFFFFFFu;
    data_.nodes.push_back(node);
    return static_cast<std::uint32_t>(data_.nodes.size() - 1);
  }

  // What follows an opened container or a finished child of the innermost one.
  void step() {
    Open& open = open_.back();
    const bool object = kind_of(data_.nodes[open.node]) == NodeKind::object;
    const char closing = object ? '}' : ']';
    skip_space();
    if (take(closing)) {
      close();
      return;
    }
    if (open.children > 0) {
      if (!take(',')) refuse_token(object ? "',' or '}'" : "',' or ']'");
      skip_space();
    }
    if (object) {
      if (at_ >= text_.size() || text_[at_] != '"') refuse_token("a key in double quotes");
      last_key_ = string(NodeKind::key);
      skip_space();
      if (!take(':')) refuse_token("':'");
      skip_space();
    }
    open.last_child = static_cast<std::uint32_t>(data_.nodes.size());
    value();  // may grow the stack: `open` is not used after it
  }

  void value() {
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    switch (c) {
      case '{':
        return begin(NodeKind::object);
      case '[':
        return begin(NodeKind::array);
      case '"':
        string(NodeKind::string);
        return finished();
      default:
        break;
    }
    if (literal("true", NodeKind::literal) || literal("false", NodeKind::literal) ||
        literal("null", NodeKind::literal)) {
      return;
    }
    if (rules_.allow_python_constants &&
        (literal("NaN", NodeKind::number) || literal("Infinity", NodeKind::number) ||
         literal("-Infinity", NodeKind::number))) {
      return;
    }
    if (c == '-' || c == '+' || c == '.' || is_digit(c)) return number();
    refuse_token("a value");
  }

  void finished() noexcept {
    if (!open_.empty()) ++open_.back().children;
  }

  bool literal(std::string_view word, NodeKind kind) {
    if (text_.substr(at_, word.size()) != word) return false;
    add(kind, at_, word.size());
    at_ += word.size();
    finished();
    return true;
  }

  void number() {
    std::size_t end = at_;
    while (end < text_.size() &&
           (is_digit(text_[end]) ||
            std::string_view("+-.eE").find(text_[end]) != std::string_view::npos)) {
      ++end;
    }
    const std::string_view written = text_.substr(at_, end - at_);
    if (written.size() > kMaxNumber || number_length(written) != written.size()) {
      ErrorCode code = rules_.number;
      if (rules_.refine != nullptr) {
        const std::string_view key =
            last_key_ == kNone ? std::string_view() : data_.string_at(last_key_);
        code = rules_.refine(code, static_cast<unsigned>(open_.size()), {}, key);
      }
      refuse(code, at_,
             written.size() > kMaxNumber
                 ? "a number of " + std::to_string(written.size()) + " bytes"
                 : "not a number as JSON writes it: " + quoted(written));
    }
    add(NodeKind::number, at_, written.size());
    at_ = end;
    finished();
  }

  void begin(NodeKind kind) {
    if (open_.size() >= rules_.max_depth) {
      refuse(rules_.depth, at_,
             "nested deeper than " + std::to_string(rules_.max_depth) + " levels");
    }
    Open open;
    open.node = add(kind, at_, 0);
    open_.push_back(open);
    last_key_ = kind == NodeKind::object ? kNone : last_key_;
    ++at_;
  }

  void close() {
    const Open open = open_.back();
    Node& node = data_.nodes[open.node];
    node.extent = static_cast<std::uint32_t>(data_.nodes.size()) & 0xFFFFFFFu;
    if (open.children > 0) data_.nodes[open.last_child].last = 1;
    if (kind_of(node) == NodeKind::object && open.children > 1) index(open);
    open_.pop_back();
    last_key_ = kNone;
    if (!open_.empty() && open.node > 0 && kind_of(data_.nodes[open.node - 1]) == NodeKind::key) {
      last_key_ = open.node - 1;
    }
    finished();
  }

  // Finds duplicate keys; keeps the sorted members of large objects for find().
  void index(const Open& open) {
    const std::size_t first = data_.slots.size();
    std::uint32_t key = open.node + 1;
    for (std::uint32_t i = 0; i < open.children; ++i) {
      data_.slots.push_back({hash_of(data_.string_at(key)), key});
      key = data_.after(key + 1);
    }
    const auto begin = data_.slots.begin() + static_cast<std::ptrdiff_t>(first);
    std::sort(begin, data_.slots.end(), [this](const Slot& a, const Slot& b) {
      if (a.hash != b.hash) return a.hash < b.hash;
      const int order = data_.string_at(a.key).compare(data_.string_at(b.key));
      return order != 0 ? order < 0 : a.key < b.key;
    });
    std::uint32_t first_duplicate = kNone;
    for (auto slot = begin; slot + 1 < data_.slots.end(); ++slot) {
      const Slot& next = slot[1];
      if (slot->hash != next.hash || data_.string_at(slot->key) != data_.string_at(next.key)) {
        continue;
      }
      data_.nodes[slot->key].kind = static_cast<std::uint32_t>(NodeKind::superseded) & 7u;
      first_duplicate = std::min(first_duplicate, next.key);
    }
    if (first_duplicate != kNone) report_duplicate(open, first_duplicate);
    if (open.children <= kScanned) {
      data_.slots.resize(first);
    } else {
      data_.indexes.push_back({open.node, static_cast<std::uint32_t>(first),
                               static_cast<std::uint32_t>(data_.slots.size())});
    }
  }

  void report_duplicate(const Open& open, std::uint32_t key) const {
    const std::string_view name = data_.string_at(key);
    ErrorCode code = rules_.duplicate;
    if (rules_.refine != nullptr) {
      const bool member = open.node > 0 && kind_of(data_.nodes[open.node - 1]) == NodeKind::key;
      code = rules_.refine(code, static_cast<unsigned>(open_.size()),
                           member ? data_.string_at(open.node - 1) : std::string_view(), name);
    }
    const std::uint64_t offset = rules_.base_offset + data_.nodes[key].begin;
    std::string text = "the key " + quoted(name) + " appears twice in one object";
    if (rules_.duplicates_are_errors) fail(code, data_.file, offset, std::move(text));
    if (warnings_ != nullptr) {
      warnings_->add(code, data_.file, offset, text + "; the last one counts");
    }
  }

  // At the opening quote. Decodes in place.
  std::uint32_t string(NodeKind kind) {
    const std::size_t begin = at_++;
    char* const bytes = data_.text.data();
    const auto ends = [](char c) {
      return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
    };
    while (at_ < text_.size() && !ends(text_[at_])) ++at_;
    char* to = bytes + at_;
    while (true) {
      if (at_ >= text_.size()) refuse(rules_.syntax, begin, "a string that does not end");
      const char c = text_[at_];
      if (c == '"') break;
      if (c == '\\') {
        escape_sequence(to);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        refuse_unless_nul();
        refuse(rules_.syntax, at_, "a control character in a string must be escaped");
      } else {
        *to++ = c;
        ++at_;
      }
    }
    ++at_;
    return add(kind, begin, static_cast<std::size_t>(to - bytes) - begin - 1);
  }

  void escape_sequence(char*& to) {
    static constexpr std::string_view kShort = "\"\\/bfnrt";
    static constexpr std::string_view kMeans = "\"\\/\b\f\n\r\t";
    const std::size_t begin = at_++;
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t which = kShort.find(c);
    if (which != std::string_view::npos) {
      *to++ = kMeans[which];
      ++at_;
      return;
    }
    if (c != 'u') refuse(rules_.syntax, begin, "an escape that JSON does not have");
    ++at_;
    std::uint32_t code_point = hexadecimal(begin);
    if (code_point >= 0xD800 && code_point < 0xE000) {
      std::uint32_t low = 0;
      const bool high = code_point < 0xDC00;
      if (high && text_.substr(at_, 2) == "\\u") {
        const std::size_t after_high = at_;
        at_ += 2;
        low = hexadecimal(after_high);
        if (low < 0xDC00 || low > 0xDFFF) {
          low = 0;
          at_ = after_high;  // an escape of its own
        }
      }
      if (low != 0) {
        code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
      } else if (rules_.lone_surrogates_are_errors) {
        refuse(rules_.surrogate, begin, "half of a surrogate pair without the other");
      }
    }
    append_utf8(code_point, to);
  }

  std::uint32_t hexadecimal(std::size_t begin) {
    std::uint32_t value = 0;
    const char* const first = text_.data() + at_;
    const std::size_t left = std::min<std::size_t>(4, text_.size() - at_);
    const auto result = std::from_chars(first, first + left, value, 16);
    if (left < 4 || result.ec != std::errc{} || result.ptr != first + 4) {
      refuse(rules_.syntax, begin, "\\u must be followed by four hexadecimal digits");
    }
    at_ += 4;
    return value;
  }

  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;
  JsonDocument::Data& data_;
  const JsonRules& rules_;
  Warnings* warnings_;
  std::string_view text_;  // of data_.text, whose strings are rewritten behind at_
  std::size_t at_ = 0;
  std::vector<Open> open_;
  std::uint32_t last_key_ = kNone;  // node of the nearest key
};

}  // namespace

JsonDocument::JsonDocument() : data_(std::make_unique<Data>()) {}
JsonDocument::~JsonDocument() = default;

std::unique_ptr<JsonDocument> JsonDocument::parse(std::string text, std::string file,
                                                  const JsonRules& rules, Warnings* warnings) {
  std::unique_ptr<JsonDocument> document(new JsonDocument);
  Data& data = *document->data_;
  data.text = std::move(text);
  data.file = std::move(file);
  data.base_offset = rules.base_offset;
  Parser(data, rules, warnings).parse();
  return document;
}

Json JsonDocument::root() const noexcept { return {this, 0}; }
const std::string& JsonDocument::file() const noexcept { return data_->file; }

JsonKind Json::kind() const noexcept {
  const Node& node = document_->data_->nodes[node_];
  switch (kind_of(node)) {
    case NodeKind::number:
      return JsonKind::number;
    case NodeKind::string:
      return JsonKind::string;
    case NodeKind::object:
      return JsonKind::object;
    case NodeKind::array:
      return JsonKind::array;
    default:
      return document_->data_->text[node.begin] == 'n' ? JsonKind::null : JsonKind::boolean;
  }
}

std::uint64_t Json::offset() const noexcept {
  return document_->data_->base_offset + document_->data_->nodes[node_].begin;
}

bool Json::boolean() const noexcept {
  return document_->data_->text[document_->data_->nodes[node_].begin] == 't';
}

std::string_view Json::string() const noexcept { return document_->data_->string_at(node_); }

std::string_view Json::number_text() const noexcept {
  const Node& node = document_->data_->nodes[node_];
  return std::string_view(document_->data_->text).substr(node.begin, node.extent);
}

bool Json::is_integer() const noexcept {
  if (!is_number()) return false;
  std::string_view text = number_text();
  if (text.front() == '-') text.remove_prefix(1);
  return std::all_of(text.begin(), text.end(), is_digit);
}

std::optional<std::int64_t> Json::as_i64() const noexcept {
  if (!is_integer()) return std::nullopt;
  const std::string_view text = number_text();
  std::int64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> Json::as_u64() const noexcept {
  if (!is_integer()) return std::nullopt;
  const std::string_view text = number_text();
  std::uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> Json::as_double() const noexcept {
  if (!is_number()) return std::nullopt;
  const std::string_view text = number_text();
  if (!is_digit(text.back())) return std::nullopt;  // NaN, Infinity
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc{}) return value;
  if (is_tiny(text)) return text.front() == '-' ? -0.0 : 0.0;
  return std::nullopt;
}

std::size_t Json::size() const noexcept {
  std::size_t count = 0;
  for (Json child = first_child(); child; child = child.next_sibling()) ++count;
  return count;
}

std::optional<Json> Json::find(std::string_view key) const {
  if (!is_object()) return std::nullopt;
  const JsonDocument::Data& data = *document_->data_;
  const auto index =
      std::lower_bound(data.indexes.begin(), data.indexes.end(), node_,
                       [](const ObjectIndex& a, std::uint32_t node) { return a.object < node; });
  if (index == data.indexes.end() || index->object != node_) {
    for (const Json child : children()) {
      if (child.key() == key) return child;
    }
    return std::nullopt;
  }
  const std::uint32_t hash = hash_of(key);
  const auto begin = data.slots.begin() + index->begin;
  const auto after = std::upper_bound(
      begin, data.slots.begin() + index->end, hash, [&](std::uint32_t wanted, const Slot& slot) {
        return wanted != slot.hash ? wanted < slot.hash : key < data.string_at(slot.key);
      });
  if (after == begin || data.string_at(after[-1].key) != key) return std::nullopt;
  return Json(document_, after[-1].key + 1);
}

Json Json::first_child() const noexcept {
  const JsonDocument::Data& data = *document_->data_;
  if (!is_container(data.nodes[node_]) || data.nodes[node_].extent == node_ + 1) return {};
  return {document_, data.value_from(node_ + 1)};
}

Json Json::next_sibling() const noexcept {
  const JsonDocument::Data& data = *document_->data_;
  if (node_ == 0 || data.nodes[node_].last != 0) return {};
  return {document_, data.value_from(data.after(node_))};
}

std::string_view Json::key() const noexcept { return document_->data_->string_at(node_ - 1); }

std::uint64_t Json::key_offset() const noexcept {
  return document_->data_->base_offset + document_->data_->nodes[node_ - 1].begin;
}

// The nodes stand in the order of the text, so a value lies in the child whose subtree spans it.
std::string Json::pointer() const {
  const JsonDocument::Data& data = *document_->data_;
  std::string path;
  for (Json at(document_, 0); at && at.node_ != node_;) {
    std::size_t place = 0;
    const bool object = at.is_object();
    Json child = at.first_child();
    while (child && data.after(child.node_) <= node_) {
      child = child.next_sibling();
      ++place;
    }
    if (child) path.append("/").append(object ? std::string(child.key()) : std::to_string(place));
    at = child;
  }
  return path;
}

}  // namespace quantize
