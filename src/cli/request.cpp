// What was typed becomes a request, or a usage error.
#include <algorithm>
#include <array>
#include <filesystem>

#include "options.hpp"
#include "process.hpp"
#include "values.hpp"

namespace quantize::cli {
namespace {

constexpr std::uint64_t kMaxThreads = 1024;

[[noreturn]] void conflict(const std::string& text) { fail(ErrorCode::USE05, "", {}, text); }

// The entry of a closed set of words. USE04.
template <class T, std::size_t N>
T choose(std::string_view option, const std::string& text,
         const std::array<std::pair<std::string_view, T>, N>& words) {
  std::string allowed;
  for (const auto& [word, value] : words) {
    if (word == text) return value;
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  fail(ErrorCode::USE04, "", {}, std::string(option), text.empty() ? "nothing" : text, allowed);
}

std::string usable_isa(const std::string& name) {
  std::string allowed;
  for (const Isa& isa : isas()) {
    if (!isa.usable) continue;
    if (isa.name == name) return name;
    allowed += (allowed.empty() ? "" : ", ") + std::string(isa.name);
  }
  fail(ErrorCode::USE04, "", {}, "--isa: not an instruction set that this CPU offers", name,
       allowed);
}

std::optional<std::string> path_option(const RawOptions& raw, std::string_view name) {
  auto path = raw.one(name);
  if (path && path->empty())
    fail(ErrorCode::USE06, "", {}, std::string(name) + ": the path is empty");
  return path;
}

std::vector<std::string> lists(const std::vector<std::string>& given) {
  std::vector<std::string> result;
  for (const std::string& text : given) {
    for (std::string& part : split_list(text)) {
      part.erase(0, part.find_first_not_of(' '));
      part.erase(part.find_last_not_of(' ') + 1);
      result.push_back(std::move(part));
    }
  }
  return result;
}

OpenOptions open_options(const RawOptions& raw) {
  OpenOptions open;
  if (const auto outtype = raw.one("--outtype")) {
    constexpr std::array<std::pair<std::string_view, std::optional<DType>>, 4> kWords = {
        {{"auto", std::nullopt}, {"f32", DType::f32}, {"f16", DType::f16}, {"bf16", DType::bf16}}};
    open.outtype = choose("--outtype", *outtype, kWords);
    open.outtype_auto = !open.outtype;
  }
  open.model_name = raw.one("--model-name");
  open.architecture = raw.one("--arch");
  open.pre_tokenizer = raw.one("--pre");
  open.family_file = path_option(raw, "--family");
  open.ignore_unmapped = raw.all("--ignore-unmapped");
  for (const std::string& text : raw.all("--lora"))
    open.adapters.push_back(parse_adapter("--lora", text));
  open.tensors_only = raw.flag("--tensors-only");
  open.projector = raw.flag("--mmproj");
  if (open.projector && open.tensors_only)
    conflict("--mmproj converts a configuration, --tensors-only does not");
  open.follow_symlinks = !raw.flag("--no-follow");
  if (const auto size = raw.one("--max-metadata")) {
    open.max_metadata_bytes = parse_size("--max-metadata", *size);
  }
  return open;
}

Recipe recipe_options(const RawOptions& raw) {
  Recipe recipe;
  for (const std::string& rule : raw.all("--tensor-type")) {
    recipe.tensor_types.push_back(parse_rule("--tensor-type", rule));
  }
  if (const auto path = path_option(raw, "--recipe")) {
    for (auto& rule : read_rules(*path)) recipe.tensor_types.push_back(std::move(rule));
  }
  if (const auto type = raw.one("--output-tensor-type")) {
    recipe.output_tensor_type = parse_type("--output-tensor-type", *type);
  }
  if (const auto type = raw.one("--token-embedding-type")) {
    recipe.token_embedding_type = parse_type("--token-embedding-type", *type);
  }
  recipe.leave_output_tensor = raw.flag("--leave-output-tensor");
  recipe.pure = raw.flag("--pure");
  recipe.lossless = raw.flag("--lossless");
  recipe.allow_requantize = raw.flag("--allow-requantize");
  recipe.allow_unmatched = raw.flag("--allow-unmatched");
  recipe.keep_split = raw.flag("--keep-split");
  recipe.reference_quirks = raw.flag("--reference-quirks");
  for (const std::string& text : raw.all("--override-kv")) {
    recipe.override_kv.push_back(parse_override(text));
  }
  for (const std::string& text : lists(raw.all("--prune-layers"))) {
    constexpr std::uint64_t kMaxLayer = 1'000'000;
    recipe.prune_layers.push_back(
        static_cast<std::uint32_t>(parse_count("--prune-layers", text, 0, kMaxLayer)));
  }
  recipe.importance_name = raw.one("--imatrix-name").value_or("");
  if (const auto size = raw.one("--split-max-size")) {
    recipe.split_max_bytes = parse_size("--split-max-size", *size);
  }
  if (const auto count = raw.one("--split-max-tensors")) {
    recipe.split_max_tensors = parse_count("--split-max-tensors", *count, 1, 1'000'000);
  }
  if ((recipe.split_max_bytes != 0) + (recipe.split_max_tensors != 0) + int{recipe.keep_split} >
      1) {
    conflict("--split-max-size, --split-max-tensors and --keep-split exclude each other");
  }
  if (const auto word = raw.one("--nonfinite")) {
    constexpr std::array<std::pair<std::string_view, NonFinite>, 3> kWords = {
        {{"error", NonFinite::error}, {"keep", NonFinite::keep}, {"zero", NonFinite::zero}}};
    recipe.nonfinite = choose("--nonfinite", *word, kWords);
  }
  return recipe;
}

ErrorCode find_code(const std::string& name) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::BUG01); ++code) {
    if (code_name(static_cast<ErrorCode>(code)) == name) return static_cast<ErrorCode>(code);
  }
  fail(ErrorCode::USE04, "", {}, "--strict", name.empty() ? "nothing" : name,
       "codes as warnings show them, like QZ01");
}

void read_strict(const RawOptions& raw, Request& request) {
  for (const std::string& text : raw.all("--strict")) {
    if (text == "true") {  // --strict without a value
      request.all_warnings_fatal = true;
      continue;
    }
    for (const std::string& name : split_list(text))
      request.fatal_warnings.push_back(find_code(name));
  }
}

// Fields that there are; a brace that begins none is text.
void check_name_template(const std::string& name) {
  for (std::size_t at = 0; (at = name.find('{', at)) != std::string::npos; ++at) {
    const std::size_t end = name.find('}', at);
    if (end == std::string::npos) return;
    const std::string field = name.substr(at, end + 1 - at);
    if (field != "{name}" && field != "{type}" && field != "{TYPE}")
      fail(ErrorCode::USE04, "", {}, "--name: no such field", field, "{name}, {type}, {TYPE}");
  }
}

void read_output(const RawOptions& raw, Request& request) {
  request.output = path_option(raw, "--output");
  request.out_dir = path_option(raw, "--out-dir").value_or("");
  request.name_template = path_option(raw, "--name").value_or("");
  check_name_template(request.name_template);
  if (request.output && (raw.one("--out-dir") || raw.one("--name"))) {
    conflict("--output names the file itself: it excludes --out-dir and --name");
  }
  if (request.output && request.inputs.size() * request.targets.size() > 1) {
    conflict("--output takes one output, but there are several (use --out-dir and --name)");
  }
  if (const auto word = raw.one("--if-exists")) {
    constexpr std::array<std::pair<std::string_view, IfExists>, 3> kWords = {
        {{"fail", IfExists::fail}, {"skip", IfExists::skip}, {"replace", IfExists::replace}}};
    request.if_exists = choose("--if-exists", *word, kWords);
    if (raw.flag("--force") && request.if_exists != IfExists::replace) {
      conflict("--force means --if-exists replace");
    }
  } else if (raw.flag("--force")) {
    request.if_exists = IfExists::replace;
  }
  request.verify = raw.flag("--verify");
  request.fail_fast = raw.flag("--fail-fast");
  request.dry_run = raw.flag("--dry-run");
  request.reports = raw.all("--report");
  for (const std::string& path : request.reports) {
    if (path.empty()) fail(ErrorCode::USE06, "", {}, "--report: the path is empty");
    report_format_of(path);
  }
  const bool directory = std::any_of(request.targets.begin(), request.targets.end(),
                                     [](const Target& target) { return bool(target.checkpoint); });
  if (request.output == "-" && directory) conflict("a checkpoint is a directory, not a stream");
  if (request.output == "-" && !request.dry_run && request.command == Command::convert) {
    if (request.json) conflict("standard output carries the model: use --report FILE, not --json");
    if (stdout_is_terminal()) {
      fail(ErrorCode::USE07, "", {}, "refusing to write a model to a terminal");
    }
  }
}

void read_talk(const RawOptions& raw, Request& request) {
  request.json = raw.flag("--json");
  request.quiet = raw.flag("--quiet");
  request.tensors = raw.flag("--tensors");
  request.full = raw.flag("--full");
  constexpr std::uint64_t kMaxContext = std::uint64_t{1} << 30;
  if (const auto size = raw.one("--ram")) request.ram = parse_size("--ram", *size);
  if (const auto tokens = raw.one("--ctx"))
    request.context = parse_count("--ctx", *tokens, 1, kMaxContext);
  if (request.quiet && request.json) conflict("--quiet prints nothing, --json prints JSON");
  const std::int64_t more = raw.count("--verbose");
  request.log_level = request.quiet ? "error"
                      : more == 0   ? "warning"
                      : more == 1   ? "info"
                                    : "debug";
  if (const auto level = raw.one("--log-level")) {
    constexpr std::array<std::pair<std::string_view, const char*>, 4> kWords = {
        {{"debug", "debug"}, {"info", "info"}, {"warning", "warning"}, {"error", "error"}}};
    request.log_level = choose("--log-level", *level, kWords);
  }
  if (const auto word = raw.one("--progress")) {
    constexpr std::array<std::pair<std::string_view, When>, 3> kWords = {
        {{"auto", When::automatic}, {"always", When::always}, {"never", When::never}}};
    request.progress = choose("--progress", *word, kWords);
  } else if (request.quiet) {
    request.progress = When::never;
  }
}

}  // namespace

Request make_request(const RawOptions& raw) {
  Request request;
  request.command = raw.command;
  request.inputs = raw.inputs;
  if (request.command == Command::types || request.command == Command::selftest) {
    if (!request.inputs.empty()) fail(ErrorCode::USE01, "", {}, "this command takes no input");
  } else if (request.inputs.empty()) {
    fail(ErrorCode::USE02, "", {},
         "no input is named: " + usage(request.command) + " (see --help)");
  }
  for (const std::string& input : request.inputs) {
    if (input.empty()) fail(ErrorCode::USE06, "", {}, "the path of an input is empty");
  }
  read_talk(raw, request);
  read_strict(raw, request);
  request.open = open_options(raw);
  for (const std::string& text : lists(raw.all("--to")))
    request.targets.push_back(find_target(text));
  if (const auto path = path_option(raw, "--plan")) {
    if (!request.targets.empty()) conflict("--plan and --to both say what to make");
    Warnings unused;  // of a document of ours: keys given twice by an editor, the last one counts
    request.targets = load_saved_plans(*path, unused);
  }
  if (request.command == Command::convert && request.targets.empty()) {
    std::error_code ignored;  // a word that names nothing was meant to be a command
    const std::string& first = request.inputs.front();
    if (first.find_first_of("./") == std::string::npos && !std::filesystem::exists(first, ignored))
      fail(ErrorCode::USE01, "", {}, "neither a command nor an input", first,
           command_words() + " (see --help)");
    fail(ErrorCode::USE02, "", {}, "--to says what to make, for example --to q4_k_m");
  }
  const bool gguf = std::any_of(request.targets.begin(), request.targets.end(),
                                [](const Target& target) { return !target.checkpoint; });
  if (!request.targets.empty() && !gguf && !raw.gguf_only.empty())
    conflict(raw.gguf_only.front() + " is for GGUF, and " + request.targets.front().label +
             " is a checkpoint for other loaders");
  request.recipe = recipe_options(raw);
  request.importance_path = path_option(raw, "--imatrix");
  request.include_weights = raw.all("--include-weights");
  request.exclude_weights = raw.all("--exclude-weights");
  request.explain = raw.one("--explain");
  if (request.explain && request.json) conflict("--explain prints sentences, not JSON");
  read_output(raw, request);
  if (const auto threads = raw.one("--threads")) {
    request.run.threads = static_cast<unsigned>(parse_count("--threads", *threads, 1, kMaxThreads));
  }
  if (const auto isa = raw.one("--isa")) {
    request.isa = usable_isa(*isa);
  }
  if (const auto size = raw.one("--max-memory")) {
    request.run.max_memory = parse_size("--max-memory", *size);
  }
  return request;
}

}  // namespace quantize::cli
