// libyaml's events to a tree, on an explicit stack; plain scalars get the types of YAML 1.1.
#include "convert/model_card.hpp"

#include <memory>
#include <optional>

#include <yaml.h>

namespace quantize {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20;
constexpr std::size_t kMaxDepth = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// What YAML 1.1 makes of a plain scalar, as far as it matters here: nothing, text, or another type.
CardNode::Kind kind_of_plain(std::string_view text) {
  for (const std::string_view none : {"", "~", "null", "Null", "NULL"})
    if (text == none) return CardNode::Kind::null;
  for (const std::string_view truth :
       {"yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "false", "False", "FALSE",
        "on", "On", "ON", "off", "Off", "OFF"})
    if (text == truth) return CardNode::Kind::other;
  std::string_view body = text;
  if (body.front() == '-' || body.front() == '+') body.remove_prefix(1);
  for (const std::string_view special : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"})
    if (body == special) return CardNode::Kind::other;
  if (body.empty() || !(is_digit(body.front()) || body.front() == '.')) return CardNode::Kind::text;
  // Numbers, sexagesimal numbers and dates: digits with separators, hexadecimal and exponents.
  std::size_t digits = 0, points = 0, dashes = 0;
  const bool prefixed = body.size() > 2 && body[0] == '0' && (body[1] == 'x' || body[1] == 'b');
  for (std::size_t i = prefixed ? 2 : 0; i < body.size(); ++i) {
    const char c = body[i];
    const bool hex =
        prefixed && body[1] == 'x' && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
    const bool exponent = !prefixed && points == 1 && (c == 'e' || c == 'E') &&
                          i + 2 < body.size() && (body[i + 1] == '+' || body[i + 1] == '-') &&
                          is_digit(body[i + 2]);
    if (is_digit(c) || hex)
      ++digits;
    else if (c == '.')
      ++points;
    else if (c == '-')
      ++dashes;
    else if (exponent)
      ++i;
    else if (c != '_' && c != ':')
      return CardNode::Kind::text;
  }
  const bool date = dashes == 2 && body.size() == 10 && body[4] == '-' && body[7] == '-';
  return digits > 0 && points <= 1 && (dashes == 0 || date) ? CardNode::Kind::other
                                                            : CardNode::Kind::text;
}

// Lines between a first line "---" and the next one; nothing if there is none.
std::optional<std::string> front_matter(std::string_view text) {
  std::string out;
  bool inside = false;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\r\n");
    std::string_view line = text.substr(0, end);
    if (end == std::string_view::npos) {
      text = {};
    } else {
      text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
    }
    if (!inside) {
      if (line != "---") return std::nullopt;
      inside = true;
    } else if (line == "---") {
      break;
    } else {
      // Two repairs of the reference: Norwegian's code is no truth value, and tabs indent.
      const bool norway = line.size() >= 4 && line.substr(line.size() - 4) == "- no";
      for (const char c : norway ? line.substr(0, line.size() - 2) : line)
        out += c == '\t' ? std::string("  ") : std::string(1, c);
      out += norway ? "\"no\"\n" : "\n";
    }
  }
  return inside ? std::optional(out) : std::nullopt;
}

struct Parser {
  Parser() { yaml_parser_initialize(&raw); }
  ~Parser() { yaml_parser_delete(&raw); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  yaml_parser_t raw{};
};

struct Event {
  Event() = default;
  ~Event() { yaml_event_delete(&raw); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  yaml_event_t raw{};
};

// The tree of the first document; nothing and `why` if it cannot be had.
std::optional<CardNode> parse(const std::string& yaml, std::string& why) {
  Parser parser;
  yaml_parser_set_input_string(&parser.raw, reinterpret_cast<const unsigned char*>(yaml.data()),
                               yaml.size());
  CardNode root;
  // Open collections. Children are built in place and moved into their parent when closed, so that
  // no pointer into a growing list is kept.
  std::vector<CardNode> open;
  std::vector<std::optional<std::string>> pending_key;
  const auto place = [&](CardNode node) {
    if (open.empty()) {
      root = std::move(node);
      return true;
    }
    CardNode& parent = open.back();
    if (parent.kind == CardNode::Kind::mapping) {
      auto& key = pending_key.back();
      if (!key) {
        if (node.kind == CardNode::Kind::list || node.kind == CardNode::Kind::mapping) return false;
        key = std::move(node.text);
        return true;
      }
      parent.keys.push_back(std::move(*key));
      key.reset();
    }
    parent.children.push_back(std::move(node));
    return true;
  };
  for (;;) {
    Event event;
    if (yaml_parser_parse(&parser.raw, &event.raw) == 0) {
      why = parser.raw.problem != nullptr ? parser.raw.problem : "not YAML";
      return std::nullopt;
    }
    switch (event.raw.type) {
      case YAML_STREAM_END_EVENT:
      case YAML_DOCUMENT_END_EVENT:
        return root;
      case YAML_ALIAS_EVENT:
        why = "aliases are not supported";
        return std::nullopt;
      case YAML_SCALAR_EVENT: {
        const auto& scalar = event.raw.data.scalar;
        CardNode node;
        node.text.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
        node.kind = scalar.style == YAML_PLAIN_SCALAR_STYLE ? kind_of_plain(node.text)
                                                            : CardNode::Kind::text;
        if (!place(std::move(node))) return std::nullopt;
        break;
      }
      case YAML_SEQUENCE_START_EVENT:
      case YAML_MAPPING_START_EVENT: {
        if (open.size() == kMaxDepth) {
          why = "nested too deeply";
          return std::nullopt;
        }
        CardNode node;
        node.kind = event.raw.type == YAML_SEQUENCE_START_EVENT ? CardNode::Kind::list
                                                                : CardNode::Kind::mapping;
        open.push_back(std::move(node));
        pending_key.emplace_back();
        break;
      }
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT: {
        CardNode node = std::move(open.back());
        open.pop_back();
        pending_key.pop_back();
        if (!place(std::move(node))) {
          why = "a key is not a scalar";
          return std::nullopt;
        }
        break;
      }
      default:
        break;
    }
  }
}

}  // namespace

const CardNode* CardNode::find(std::string_view key) const noexcept {
  for (std::size_t i = keys.size(); i-- > 0;)
    if (keys[i] == key) return &children[i];
  return nullptr;
}

CardNode read_model_card(const Directory& directory, Warnings& warnings) {
  const auto ignored = [&](std::string why) {
    warnings.add(ErrorCode::JS01, directory.path_of("README.md"), std::nullopt,
                 "the front matter is ignored: " + std::move(why));
    return CardNode();
  };
  try {
    const auto text = directory.read("README.md", kMaxBytes);
    if (!text) return {};
    const auto yaml = front_matter(*text);
    if (!yaml) return {};
    std::string why;
    auto card = parse(*yaml, why);
    if (!card) return ignored(why);
    if (card->kind == CardNode::Kind::null) return {};
    if (card->kind != CardNode::Kind::mapping) return ignored("it is not a mapping");
    return std::move(*card);
  } catch (const Error& error) {
    return ignored(error.problem().text);
  }
}

}  // namespace quantize
