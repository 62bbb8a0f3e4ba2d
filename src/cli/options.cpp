#include "options.hpp"

#include <algorithm>
#include <array>

#include <CLI/CLI.hpp>

namespace quantize::cli {

extern const char* const kCommit;  // written by the build

namespace {

enum class Kind : std::uint8_t {
  flag,      // no value; counted
  once,      // one value; the same one again is accepted
  many,      // one value each time
  optional,  // --x or --x=VALUE
};

constexpr unsigned kConvert = 1, kPlan = 2, kInspect = 4, kTypes = 8, kSelftest = 16;
constexpr unsigned kModel = kConvert | kPlan,
                   kAll = kConvert | kPlan | kInspect | kTypes | kSelftest;
constexpr unsigned kOnlyGguf = 1024;  // beside commands: the option means nothing to checkpoints
constexpr unsigned kGguf = kModel | kOnlyGguf;

struct OptionRow {
  const char* names;
  const char* value;  // placeholder in the help
  Kind kind;
  unsigned commands;
  const char* group;
  const char* help;
};

// Every option of every command: parser and help follow from this table.
constexpr OptionRow kOptions[] = {
    {"-t,--to", "T[,T2]", Kind::many, kModel, "Target",
     "preset, type or friendly name (see `quantize types`)"},
    {"--plan", "FILE", Kind::once, kModel, "Target",
     "instead of --to: the outputs and types of a saved `plan --json`, perhaps edited"},
    {"--tensor-type", "PATTERN=TYPE", Kind::many, kGguf, "Types",
     "type of the tensors whose name matches; first match wins"},
    {"--recipe,--tensor-type-file", "FILE", Kind::once, kGguf, "Types",
     "many PATTERN=TYPE, one a line; # begins a comment, a final ? lets it match nothing"},
    {"--explain", "TENSOR", Kind::once, kModel, "Types",
     "say which rule chose this tensor's type, and write nothing"},
    {"--output-tensor-type", "TYPE", Kind::once, kGguf, "Types", "type of output.weight"},
    {"--token-embedding-type", "TYPE", Kind::once, kGguf, "Types", "type of token_embd.weight"},
    {"--leave-output-tensor", "", Kind::flag, kGguf, "Types", "do not quantize output.weight"},
    {"--pure", "", Kind::flag, kGguf, "Types", "no mixture: the target's own type everywhere"},
    {"--lossless", "", Kind::flag, kGguf, "Types",
     "tensors whose values lie on a type's grid get that type, whatever the target says"},
    {"--allow-requantize", "", Kind::flag, kGguf, "Types",
     "accept tensors that are quantized already"},
    {"--allow-unmatched", "", Kind::flag, kGguf, "Types",
     "a pattern that matches nothing is no error"},
    {"--imatrix", "FILE", Kind::once, kGguf, "Importance", "importance data, .gguf or .dat"},
    {"--imatrix-name", "TEXT", Kind::once, kGguf, "Importance",
     "what the output says about its origin"},
    {"--include-weights", "TEXT", Kind::many, kGguf, "Importance",
     "use it for tensors whose name contains TEXT only"},
    {"--exclude-weights", "TEXT", Kind::many, kGguf, "Importance", "do not use it for these"},
    {"--outtype", "TYPE", Kind::once, kGguf, "Conversion",
     "auto, f32, f16, bf16: round weights to this first"},
    {"--model-name", "TEXT", Kind::once, kGguf, "Conversion", "general.name"},
    {"--arch", "NAME", Kind::once, kGguf, "Conversion",
     "general.architecture of a tensors-only output"},
    {"--pre", "NAME", Kind::once, kGguf, "Conversion", "pre-tokenizer name"},
    {"--family", "FILE", Kind::once, kGguf, "Conversion", "description of a model family"},
    {"--lora", "DIR[:SCALE]", Kind::many, kModel, "Conversion",
     "merge a PEFT adapter (LoRA, DoRA) into the weights; SCALE multiplies its own"},
    {"--mmproj", "", Kind::flag, kGguf, "Conversion",
     "of a multimodal model: the vision tower and its projector"},
    {"--tensors-only", "", Kind::flag, kGguf, "Conversion", "keep names, convert no configuration"},
    {"--ignore-unmapped", "GLOB", Kind::many, kGguf, "Conversion",
     "drop these tensors if the family does not know them"},
    {"--override-kv", "KEY=TYPE:VALUE", Kind::many, kGguf, "Conversion",
     "set metadata; int, float, bool or str"},
    {"--prune-layers", "N[,N2]", Kind::many, kGguf, "Conversion", "leave these layers out"},
    {"--nonfinite", "WHAT", Kind::once, kModel, "Conversion",
     "error, keep, zero: NaN and infinities"},
    {"--reference-quirks", "", Kind::flag, kGguf, "Conversion",
     "llama.cpp's bytes even where they are faulty"},
    {"--no-follow", "", Kind::flag, kModel | kInspect, "Conversion",
     "do not follow symbolic links to inputs"},
    {"-o,--output", "PATH", Kind::once, kModel, "Output", "the output; - is standard output"},
    {"--out-dir", "DIR", Kind::once, kModel, "Output", "where outputs go"},
    {"--name", "TEMPLATE", Kind::once, kModel, "Output",
     "file name with {name}, {type}, {TYPE}; default {name}-{TYPE}.gguf"},
    {"-f,--force", "", Kind::flag, kConvert, "Output", "replace existing outputs"},
    {"--if-exists", "WHAT", Kind::once, kConvert, "Output", "fail, skip, replace"},
    {"--split-max-size", "SIZE", Kind::once, kModel, "Output", "write pieces of at most this size"},
    {"--split-max-tensors", "N", Kind::once, kGguf, "Output",
     "write pieces of at most so many tensors"},
    {"--keep-split", "", Kind::flag, kGguf, "Output", "as many pieces as the input has"},
    {"--verify", "", Kind::flag, kConvert, "Output",
     "read every output back before it gets its name"},
    {"--dry-run", "", Kind::flag, kConvert, "Output", "plan only, write nothing"},
    {"--fail-fast", "", Kind::flag, kConvert, "Output", "stop at the first input that fails"},
    {"--tensors", "", Kind::flag, kModel, "Report", "list every tensor of a plan"},
    {"--ram", "SIZE", Kind::once, kPlan, "Report",
     "say which outputs run in so much memory (K M G, Ki Mi Gi)"},
    {"--ctx", "N", Kind::once, kPlan, "Report",
     "with a context of N tokens; default: the model's, at most 4096"},
    {"--full", "", Kind::flag, kInspect, "Report", "long values in full"},
    {"--report", "FILE", Kind::many, kConvert, "Report", "write the report: .txt .json .csv .md"},
    {"--json", "", Kind::flag, kAll, "Report", "print JSON"},
    {"--strict", "CODES", Kind::optional, kAll, "Report",
     "warnings are errors: all, or --strict=CODE,..."},
    {"-q,--quiet", "", Kind::flag, kAll, "Report", "print errors only"},
    {"-v,--verbose", "", Kind::flag, kAll, "Report", "say more"},
    {"--log-level", "LEVEL", Kind::once, kAll, "Report", "debug, info, warning, error"},
    {"--progress", "WHEN", Kind::once, kConvert, "Report", "auto, always, never"},
    {"-j,--threads", "N", Kind::once, kConvert, "Resources",
     "default: the cores this process may use"},
    {"--isa", "NAME", Kind::once, kConvert, "Resources",
     "instruction set: avx512, avx2, sse2, neon, scalar"},
    {"--max-memory", "SIZE", Kind::once, kConvert, "Resources", "cap on buffers (K M G, Ki Mi Gi)"},
    {"--max-metadata", "SIZE", Kind::once, kModel | kInspect, "Resources",
     "cap on the metadata of an input"},
};

struct CommandRow {
  Command command;
  unsigned bit;
  const char* name;  // empty: the main job
  const char* usage;
  const char* about;
};

constexpr std::array<CommandRow, 5> kCommands = {{
    {Command::convert, kConvert, "", "quantize INPUT... --to T[,T2] [OPTION...]",
     "Converts published models to quantized GGUF."},
    {Command::plan, kPlan, "plan", "quantize plan INPUT... [--to T[,T2]] [OPTION...]",
     "Reads headers only and says what outputs would be: sizes, types, substitutions."},
    {Command::inspect, kInspect, "inspect", "quantize inspect FILE... [OPTION...]",
     "Shows header, metadata and tensors."},
    {Command::types, kTypes, "types", "quantize types [--json]",
     "Lists types, presets and friendly names."},
    {Command::selftest, kSelftest, "selftest", "quantize selftest [--json]",
     "Checks that this program writes the bytes it should, on this CPU."},
}};

std::string version_text() {
  std::string kernels;
  for (const Isa& isa : isas()) {
    if (isa.usable) kernels += ' ' + std::string(isa.name);
  }
  return "quantize " QUANTIZE_VERSION ", commit " + std::string(kCommit) +
         "\nbytes as llama.cpp release v0.5.0 makes them (official x86-64 build)\nkernels:" +
         kernels + '\n';
}

// The name that the rest of the command uses: "--to" for "-t,--to".
std::string long_name(std::string_view names) {
  const std::size_t start = names.find("--");
  return std::string(names.substr(start, names.find(',', start) - start));
}

constexpr std::size_t kHelpColumn = 36, kHelpWidth = 100;

// Words from the help's column on, in lines of at most kHelpWidth; the first begins after `taken`.
std::string indented(std::string_view text, std::size_t taken) {
  std::string result(kHelpColumn - taken, ' ');
  std::size_t width = kHelpColumn;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (width != kHelpColumn && width + 1 + word.size() > kHelpWidth) {
      result += '\n' + std::string(kHelpColumn, ' ');
      width = kHelpColumn;
    }
    if (width != kHelpColumn) result += ' ';
    width += word.size() + (width != kHelpColumn ? 1 : 0);
    result += word;
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return result + '\n';
}

std::string help_text(const CommandRow& command) {
  std::string text = "Usage: " + std::string(command.usage) + "\n" + command.about + '\n';
  const char* group = "";
  for (const OptionRow& row : kOptions) {
    if ((row.commands & command.bit) == 0) continue;
    if (std::string_view(row.group) != group) {
      group = row.group;
      text += '\n' + std::string(group) + ":\n";
    }
    std::string left = std::string(row.names[1] == '-' ? "      " : "  ") + row.names;
    const std::size_t comma = left.find(',');
    if (comma != std::string::npos) left.insert(comma + 1, " ");
    if (*row.value != 0) left += (row.kind == Kind::optional ? "[=" : " ") + std::string(row.value);
    if (row.kind == Kind::optional) left += ']';
    text += left + (left.size() + 2 > kHelpColumn ? "\n" : "");
    text += indented(row.help, left.size() + 2 > kHelpColumn ? 0 : left.size());
  }
  text +=
      "\n  -h, --help                        print this\n"
      "      --version                     print the version\n";
  if (command.command != Command::convert) return text;
  text += "\nCommands:\n";
  for (const CommandRow& row : kCommands) {
    if (*row.name != 0) text += "  " + std::string(row.usage) + "\n      " + row.about + '\n';
  }
  return text;
}

// USE01, with options that may have been meant.
[[noreturn]] void refuse_option(const std::string& argument, const CommandRow& command) {
  const std::string name = argument.substr(0, argument.find('='));
  std::vector<std::string> names = {"--help", "--version"};
  for (const OptionRow& row : kOptions)
    if ((row.commands & command.bit) != 0) names.push_back(long_name(row.names));
  const std::string near = near_names(name, {names.begin(), names.end()});
  fail(ErrorCode::USE01, "", {}, "unknown option", argument,
       near.empty() ? "see --help" : near + " (see --help)");
}

void add_option(CLI::App& app, const OptionRow& row, RawOptions& raw) {
  const std::string name = long_name(row.names);
  CLI::Option* option = nullptr;
  if (row.kind == Kind::flag) {
    option = app.add_flag(row.names, raw.flags[name], row.help);
  } else if (row.kind == Kind::optional) {
    option = app.add_flag(row.names, raw.values[name], std::string(row.help));
  } else {
    option = app.add_option(row.names, raw.values[name], row.help)
                 ->allow_extra_args(false)
                 ->type_name(row.value);
  }
  option->group(row.group);
}

}  // namespace

std::string usage(Command command) {
  for (const CommandRow& row : kCommands)
    if (row.command == command) return row.usage;
  return {};
}

std::string command_words() {
  std::string words;
  for (const CommandRow& row : kCommands)
    if (*row.name != 0) words += (words.empty() ? "" : ", ") + std::string(row.name);
  return words;
}

bool RawOptions::flag(std::string_view name) const { return count(name) != 0; }

std::int64_t RawOptions::count(std::string_view name) const {
  const auto at = flags.find(name);
  return at == flags.end() ? 0 : at->second;
}

const std::vector<std::string>& RawOptions::all(std::string_view name) const {
  static const std::vector<std::string> none;
  const auto at = values.find(name);
  return at == values.end() ? none : at->second;
}

std::optional<std::string> RawOptions::one(std::string_view name) const {
  const auto& given = all(name);
  if (given.empty()) return std::nullopt;
  for (const std::string& value : given) {
    if (value != given[0]) {
      fail(ErrorCode::USE05, "", {}, std::string(name) + " is given twice",
           given[0] + " and " + value);
    }
  }
  return given[0];
}

RawOptions parse_arguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const CommandRow* command = &kCommands[0];
  for (const CommandRow& row : kCommands) {
    if (!arguments.empty() && *row.name != 0 && arguments[0] == row.name) {
      command = &row;
      arguments.erase(arguments.begin());
      break;
    }
  }

  RawOptions raw;
  raw.command = command->command;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  bool help = false;
  bool version = false;
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  for (const OptionRow& row : kOptions) {
    if ((row.commands & command->bit) != 0) add_option(app, row, raw);
  }
  // What follows -- is inputs. (Not a positional of CLI11: that would take "[a,b]" apart.)
  const auto marker = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> rest;
  if (marker != arguments.end()) rest.assign(marker + 1, arguments.end());
  arguments.erase(marker, arguments.end());
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants it
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    const std::string text = error.what();  // "--threads: 1 required N missing"
    fail(ErrorCode::USE02, "", {}, text.substr(0, text.find(':')) + " needs a value");
  }
  for (const OptionRow& row : kOptions) {
    const std::string name = long_name(row.names);
    if ((row.commands & kOnlyGguf) != 0 && (raw.flag(name) || !raw.all(name).empty()))
      raw.gguf_only.push_back(name);
  }
  if (help) raw.answer = help_text(*command);
  if (version) raw.answer = version_text();
  for (const std::string& argument : app.remaining()) {
    if (!raw.answer && argument.size() > 1 && argument[0] == '-') {
      refuse_option(argument, *command);
    }
    raw.inputs.push_back(argument);
  }
  raw.inputs.insert(raw.inputs.end(), rest.begin(), rest.end());
  return raw;
}

}  // namespace quantize::cli
