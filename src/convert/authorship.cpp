// The reference's reading of model names: a name is cut at "-" and each part guessed to be a
// version, a size, a kind of fine-tuning or the name proper.
#include "convert/authorship.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "quantize/error.hpp"

#include "convert/model_card.hpp"

namespace quantize {
namespace {

// ---- characters: ASCII decides; other bytes are letters without case -------------------------

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) {
  return is_lower(c) || is_upper(c) || static_cast<unsigned char>(c) >= 128;
}
char lower(char c) { return is_upper(c) ? static_cast<char>(c + 32) : c; }
char upper(char c) { return is_lower(c) ? static_cast<char>(c - 32) : c; }
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// A hand-written matcher for the few patterns below: each step eats what it can or says no.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  bool eat(std::string_view word) {
    if (rest_.substr(0, word.size()) != word) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool eat_any(std::string_view set) {
    if (rest_.empty() || set.find(rest_.front()) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool digits() {
    std::size_t n = 0;
    while (n < rest_.size() && is_digit(rest_[n])) ++n;
    rest_.remove_prefix(n);
    return n > 0;
  }
  bool word_character() {
    if (rest_.empty() || !is_word(rest_.front())) return false;
    rest_.remove_prefix(1);
    return true;
  }

 private:
  std::string_view rest_;
};

// v1.2, iter5, 2407
bool is_version(std::string_view lowercase) {
  Scanner s(lowercase);
  if (!s.eat("v")) s.eat("iter");
  if (!s.digits()) return false;
  while (s.eat("."))
    if (!s.digits()) return false;
  return s.done();
}

// q4_k_m, iq2_xs, fp16, bf32
bool is_type(std::string_view lowercase) {
  Scanner quant(lowercase);
  quant.eat("i");
  if (quant.eat("q") && quant.eat_any("0123456789")) {
    while (quant.eat("_"))
      if (!quant.word_character()) return false;
    return quant.done();
  }
  Scanner plain(lowercase);
  plain.eat("b");
  if (!plain.eat("f")) return false;
  plain.eat("p");
  return (plain.eat("16") || plain.eat("32")) && plain.done();
}

// 7b, 8x7b, a3b, 1.5b, 7b1, small
bool is_size(std::string_view lowercase) {
  for (const std::string_view word : {"small", "mini", "medium", "large", "xl", "xxl"})
    if (lowercase == word) return true;
  const auto number_and_unit = [](Scanner s) {
    if (!s.digits() || (s.eat_any("._") && !s.digits())) return false;
    if (!s.eat_any("kmbt")) return false;
    s.eat_any("0123456789");
    return s.done();
  };
  Scanner plain(lowercase);
  if (number_and_unit(plain)) return true;
  Scanner active(lowercase);
  if (active.eat("a") && number_and_unit(active)) return true;
  Scanner experts(lowercase);
  return experts.digits() && experts.eat("x") && number_and_unit(experts);
}

struct Part {
  std::string text;
  bool basename = false, size = false, finetune = false, version = false, type = false;
  int marks() const { return basename + size + finetune + version + type; }
};

std::string joined(const std::vector<Part>& parts, bool (*wanted)(const Part&), bool once = false) {
  std::string out;
  std::vector<std::string_view> seen;
  for (const Part& part : parts) {
    if (!wanted(part)) continue;
    if (once && std::find(seen.begin(), seen.end(), part.text) != seen.end()) continue;
    seen.push_back(part.text);
    if (seen.size() > 1) out += '-';
    out += part.text;
  }
  return out;
}

std::vector<std::string> words_of(std::string_view text, std::string_view separators) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// A size in the reference's spelling. True: it is far from the model's size, hence rather the
// length of a context.
bool normalise_size(std::string& part, std::uint64_t total) {
  std::replace(part.begin(), part.end(), '_', '.');
  if (const std::size_t n = part.size(); n > 1 && is_digit(part.back()))  // 7b1 -> 7.1b
    part = part.substr(0, n - 2) + "." + part[n - 1] + part[n - 2];
  const std::size_t n = part.size();
  if (n > 1 && is_digit(part[n - 2]) &&
      std::string_view("kmbt").find(part.back()) != std::string_view::npos)
    part.back() = upper(part.back());
  if (total == 0) return false;
  double number = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + n - 1, number);
  if (error != std::errc() || end != part.data() + n - 1) return false;
  const std::size_t unit = std::string_view(" KMBT").find(part.back());
  const double scale =
      unit == std::string_view::npos ? 1e-3 : std::pow(1000.0, static_cast<double>(unit));
  const double away = std::fabs(number * scale - static_cast<double>(total));
  if (away <= static_cast<double>(total / 8 * 7 + total % 8 * 7 / 8)) return false;
  part.back() = lower(part.back());
  return true;
}

// ---- metadata --------------------------------------------------------------------------------

// The reference never writes an empty string.
void add_text(Metadata& metadata, std::string key, const std::string& value) {
  if (!value.empty()) metadata.append(std::move(key), value);
}

// A base model or data set of the card.
using Fields = std::vector<std::pair<std::string, std::string>>;

Fields describe_reference(const CardNode& entry, std::uint64_t total) {
  Fields fields;
  if (entry.kind == CardNode::Kind::mapping) {
    for (const char* key : {"name", "author", "version", "organization", "description", "url",
                            "doi", "uuid", "repo_url"})
      if (const CardNode* value = entry.find(key)) fields.emplace_back(key, value->text);
    return fields;
  }
  if (entry.kind != CardNode::Kind::text) return fields;
  const std::string hub = "https://huggingface.co/";
  std::string id = entry.text;
  bool link = false;
  for (const std::string_view scheme : {"http://", "https://", "ssh://"})
    link = link || std::string_view(id).substr(0, scheme.size()) == scheme;
  if (link) {
    std::string_view page = id;
    for (const std::string_view prefix :
         {std::string_view(hub), std::string_view("http://huggingface.co/")})
      if (page.substr(0, prefix.size()) == prefix) page.remove_prefix(prefix.size());
    // Only "organization/name" is a model's page.
    const bool model_page = page.size() < id.size() &&
                            std::count(page.begin(), page.end(), '/') == 1 && page.front() != '/' &&
                            page.back() != '/';
    if (!model_page) return {{"repo_url", id}};
    id = std::string(page);
  }
  const ModelId parts = split_model_id(id, total);
  fields.emplace_back("name", title_of(parts.name));
  if (!parts.version.empty()) fields.emplace_back("version", parts.version);
  if (!parts.organization.empty()) {
    fields.emplace_back("organization", title_of(parts.organization));
    if (!link) fields.emplace_back("repo_url", hub + parts.organization + "/" + parts.name);
  }
  if (link) fields.emplace_back("repo_url", entry.text);
  return fields;
}

void append_references(const CardNode& card, std::string_view prefix,
                       std::initializer_list<std::string_view> keys, std::uint64_t total,
                       Metadata& metadata) {
  const CardNode* found = nullptr;
  for (const std::string_view key : keys)
    if (found == nullptr) found = card.find(key);
  if (found == nullptr) return;
  std::vector<Fields> entries;
  if (found->kind == CardNode::Kind::text)
    entries.push_back(describe_reference(*found, total));
  else if (found->kind == CardNode::Kind::list)
    for (const CardNode& entry : found->children)
      entries.push_back(describe_reference(entry, total));
  const std::string start = "general." + std::string(prefix) + ".";
  metadata.append(start + "count", static_cast<std::uint32_t>(entries.size()));
  for (std::size_t i = 0; i < entries.size(); ++i)
    for (const auto& [key, value] : entries[i])
      add_text(metadata, start + std::to_string(i) + "." + key, value);
}

void append_list(const CardNode& card, std::string key,
                 std::initializer_list<std::string_view> sources, Metadata& metadata) {
  std::vector<std::string> values;
  for (const std::string_view source : sources) {
    const CardNode* found = card.find(source);
    if (found == nullptr) continue;
    if (found->kind == CardNode::Kind::text) values.push_back(found->text);
    if (found->kind == CardNode::Kind::list)
      for (const CardNode& entry : found->children) values.push_back(entry.text);
  }
  if (!values.empty()) metadata.append(std::move(key), MetaArray(std::move(values)));
}

// The first of `keys` that is there and not null.
std::string card_text(const CardNode& card, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    const CardNode* found = card.find(key);
    if (found == nullptr || found->kind == CardNode::Kind::null) continue;
    if (found->kind != CardNode::Kind::list) return found->text;
    std::string all;
    for (const CardNode& entry : found->children) all += (all.empty() ? "" : ",") + entry.text;
    return all;
  }
  return {};
}

}  // namespace

ModelId split_model_id(std::string_view id, std::uint64_t total_parameters) {
  ModelId out;
  if (id.find(' ') != std::string_view::npos) {
    out.name = std::string(id);
    return out;
  }
  if (const std::size_t slash = id.find('/'); slash != std::string_view::npos) {
    out.organization = std::string(id.substr(0, slash));
    if (!out.organization.empty() && out.organization.front() == '.') out.organization.clear();
    id.remove_prefix(slash + 1);
  }
  out.name = std::string(id);

  std::vector<Part> parts;
  for (std::string& word : words_of(id, "-")) {
    Part part;
    part.text = std::move(word);
    parts.push_back(std::move(part));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Part& part = parts[i];
    const std::string folded = lowered(part.text);
    if (is_version(folded)) {
      part.version = true;
    } else if (is_type(folded)) {
      part.type = true;
      std::transform(part.text.begin(), part.text.end(), part.text.begin(), upper);
    } else if (i > 0 && is_size(folded)) {
      part.finetune = normalise_size(part.text, total_parameters);
      part.size = !part.finetune;
    } else if (i > 0 && (folded == "chat" || folded == "instruct" || folded == "vision" ||
                         folded == "lora")) {
      part.finetune = true;
    }
  }
  const bool numbered = std::any_of(parts.begin(), parts.end(), [](const Part& part) {
    return part.size && std::any_of(part.text.begin(), part.text.end(), is_digit);
  });
  for (Part& part : parts)
    if (numbered && std::all_of(part.text.begin(), part.text.end(), is_letter)) part.size = false;

  bool at_start = true;
  for (Part& part : parts) {
    at_start = at_start && ((part.marks() == 0 && is_letter(part.text.front())) || part.version);
    if (at_start)
      part.basename = true;
    else if (part.marks() == 0)
      part.finetune = true;
  }
  for (std::size_t i = parts.size(); i-- > 0 && parts[i].basename && parts[i].marks() > 1;)
    parts[i].basename = false;

  out.basename = joined(parts, [](const Part& p) { return p.basename; });
  out.size_label = joined(
      parts, [](const Part& p) { return p.size; }, true);
  out.finetune = joined(parts, [](const Part& p) { return p.finetune; });
  out.version = joined(parts, [](const Part& p) { return p.version && !p.basename; });
  if (out.size_label.empty() && out.finetune.empty() && out.version.empty()) out.basename.clear();
  return out;
}

std::string title_of(std::string_view id) {
  std::string out;
  for (std::string& word : words_of(id, "- \t\n\r\f\v")) {
    const bool has_lower = std::any_of(word.begin(), word.end(), is_lower);
    const bool has_upper = std::any_of(word.begin(), word.end(), is_upper);
    // Versions and numbers keep their spelling; so does whatever already has capitals.
    const bool versioned = is_digit(word.front()) || (word.front() == 'v' && is_version(word));
    if (has_lower && !has_upper && !versioned) {
      bool inside = false;
      for (char& c : word) {
        if (!inside) c = upper(c);
        inside = is_letter(c);
      }
    }
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

std::string size_label(const ParameterCounts& counts) {
  const auto rounded = [](std::uint64_t weights) {
    const double n = static_cast<double>(weights);
    const auto [scale, unit] = n > 1e12  ? std::pair(1e-12, 'T')
                               : n > 1e9 ? std::pair(1e-9, 'B')
                               : n > 1e6 ? std::pair(1e-6, 'M')
                                         : std::pair(1e-3, 'K');
    const double scaled = n * scale;
    // Two significant digits: fewer decimals the more digits stand before the point.
    const double whole = std::nearbyint(scaled);
    const int digits =
        whole == 0 ? 0 : static_cast<int>(std::to_string(static_cast<std::uint64_t>(whole)).size());
    char text[64];
    const auto end = std::to_chars(text, text + sizeof text, scaled, std::chars_format::fixed,
                                   std::max(2 - digits, 0));
    return std::string(text, end.ptr) + unit;
  };
  if (counts.expert == 0) return rounded(counts.total);
  return std::to_string(static_cast<std::uint64_t>(std::nearbyint(counts.experts))) + "x" +
         rounded(counts.shared + counts.expert);
}

void append_sampling(const Directory& directory, Metadata& metadata, Warnings& warnings) {
  struct Row {
    const char* key;
    MetaType type;
    std::initializer_list<std::string_view> from;
  };
  static const Row rows[] = {
      {"sequence", MetaType::string, {"sequence"}},
      {"top_k", MetaType::i32, {"top_k"}},
      {"top_p", MetaType::f32, {"top_p"}},
      {"min_p", MetaType::f32, {"min_p"}},
      {"xtc_probability", MetaType::f32, {"xtc_probability"}},
      {"xtc_threshold", MetaType::f32, {"xtc_threshold"}},
      {"temp", MetaType::f32, {"temperature"}},
      {"penalty_last_n", MetaType::i32, {"penalty_last_n"}},
      {"penalty_repeat", MetaType::f32, {"penalty_repeat", "repetition_penalty"}},
      {"mirostat", MetaType::i32, {"mirostat"}},
      {"mirostat_tau", MetaType::f32, {"mirostat_tau"}},
      {"mirostat_eta", MetaType::f32, {"mirostat_eta"}},
  };
  const std::string file = directory.path_of("generation_config.json");
  std::unique_ptr<JsonDocument> document;
  try {
    auto text = directory.read("generation_config.json", std::uint64_t{1} << 20);
    if (!text) return;
    document = JsonDocument::parse(std::move(*text), file, {}, &warnings);
  } catch (const Error& error) {
    warnings.add(error.code(), file, error.problem().offset, "ignored: " + error.problem().text);
    return;
  }
  for (const Row& row : rows) {
    std::optional<Json> value;
    for (const std::string_view from : row.from)
      if (!value) value = document->root().find(from);
    if (!value || value->is_null()) continue;
    const std::string key = std::string("general.sampling.") + row.key;
    if (row.type == MetaType::string && value->is_string()) {
      add_text(metadata, key, std::string(value->string()));
    } else if (const auto integer = value->as_i64();
               row.type == MetaType::i32 && integer &&
               *integer == static_cast<std::int32_t>(*integer)) {
      metadata.append(key, static_cast<std::int32_t>(*integer));
    } else if (const auto real = value->as_double(); row.type == MetaType::f32 && real) {
      metadata.append(key, static_cast<float>(*real));
    } else {
      warnings.add(ErrorCode::CF03, file, value->offset(), "ignored: not a value for " + key);
    }
  }
}

void append_authorship(const AuthorshipRequest& request, Metadata& metadata, Warnings& warnings) {
  const CardNode card = read_model_card(request.directory, warnings);
  std::string name = card_text(card, {"name", "model_name"});
  std::string organization = card_text(card, {"organization", "model_organization"});
  std::string version = card_text(card, {"version", "model_version"});
  std::string finetune = card_text(card, {"finetune", "model_finetune"});
  std::string basename = card_text(card, {"basename", "model_basename", "model_type"});
  std::string size = card_text(card, {"size_label", "model_size_label"});

  const auto fill_in = [&](std::string_view id) {
    const ModelId parts = split_model_id(id, request.counts.total);
    const std::pair<std::string*, std::string> fields[] = {
        {&name, title_of(parts.name)}, {&organization, title_of(parts.organization)},
        {&basename, parts.basename},   {&finetune, parts.finetune},
        {&version, parts.version},     {&size, parts.size_label}};
    for (const auto& [field, value] : fields)
      if (field->empty()) *field = value;
  };
  // Only a model's name: paths of the machine it was trained on are no names.
  if (const auto origin = request.config.find("_name_or_path"); origin && origin->is_string())
    if (const std::string_view id = origin->string(); std::count(id.begin(), id.end(), '/') <= 1)
      fill_in(id);
  fill_in(request.directory_name);
  if (request.model_name) name = *request.model_name;
  if (size.empty() && request.counts.total > 0) size = size_label(request.counts);

  const auto add = [&](const char* key, const std::string& value) {
    add_text(metadata, std::string("general.") + key, value);
  };
  add("name", name);
  add("author", card_text(card, {"author", "model_author", "model_creator"}));
  add("version", version);
  add("organization", organization);
  add("finetune", finetune);
  add("basename", basename);
  add("description", card_text(card, {"description", "model_description"}));
  add("size_label", size);
  add("license", card_text(card, {"license"}));
  add("license.name", card_text(card, {"license_name"}));
  add("license.link", card_text(card, {"license_link"}));
  add("source.url", card_text(card, {"url", "model_url"}));
  add("source.doi", card_text(card, {"doi", "model_doi"}));
  add("source.uuid", card_text(card, {"uuid", "model_uuid"}));
  add("source.repo_url", card_text(card, {"repo_url", "model_repo_url"}));
  append_references(card, "base_model", {"base_model", "base_models", "base_model_sources"},
                    request.counts.total, metadata);
  append_references(card, "dataset", {"datasets", "dataset", "dataset_sources"},
                    request.counts.total, metadata);
  append_list(card, "general.tags", {"tags", "pipeline_tag"}, metadata);
  append_list(card, "general.languages", {"languages", "language"}, metadata);
}

}  // namespace quantize
