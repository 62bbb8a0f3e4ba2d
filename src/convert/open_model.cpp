// From a path to a model: what kind of input it is, where its side files are, and what it is
// called.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "quantize/model.hpp"

#include "convert/adapters/adapter.hpp"
#include "convert/checkpoints/checkpoint.hpp"
#include "convert/convert.hpp"
#include "core/directory.hpp"
#include "core/json.hpp"
#include "formats/readers.hpp"

namespace quantize {
namespace {

// Symlinks are not resolved: "beside" means the lexical parent, where a hub's cache keeps the rest.
struct SplitPath {
  std::string directory, name;
};

SplitPath split(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

// The last component, as the reference sees it: nothing for ".".
std::string last_component(const std::string& path) {
  const SplitPath parts = split(path);
  if (parts.name != ".") return parts.name == "/" ? std::string() : parts.name;
  return parts.directory == "." ? std::string() : last_component(parts.directory);
}

// What a directory is called in file names: its real name, and NAME under
// models--ORG--NAME/snapshots.
std::string name_of_directory(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  std::filesystem::path folder = absolute.has_filename() ? absolute : absolute.parent_path();
  const std::filesystem::path repository = folder.parent_path().parent_path();
  const std::string cache = repository.filename().string();
  if (folder.parent_path().filename() == "snapshots" && cache.rfind("models--", 0) == 0)
    return cache.substr(cache.rfind("--") + 2);
  return folder.filename().string();
}

// A file's stem without the type that publishers append.
std::string name_of_file(const std::string& path) {
  const SplitPath parts = split(path);
  std::string stem = parts.name.substr(0, parts.name.rfind('.'));
  if (const std::size_t dash = stem.rfind('-'); dash != std::string::npos && dash > 0) {
    const std::string_view last = std::string_view(stem).substr(dash + 1);
    if (last == "F16" || last == "BF16" || last == "F32" ||
        (last.size() > 1 && last[0] == 'Q' && last[1] >= '0' && last[1] <= '9'))
      stem.resize(dash);
  }
  return stem.empty() || stem == "model" ? name_of_directory(parts.directory) : stem;
}

// Where an input's pieces are, once its kind is known.
struct Opened {
  InputKind kind{};
  std::string path;
  std::shared_ptr<const Directory> directory;  // null for GGUF and files without a configuration
  std::string only_file;
  std::shared_ptr<const Source> source;
};

Opened open(const std::string& path, const OpenOptions& options, Warnings& warnings) {
  Opened out;
  out.path = path;
  out.kind = detect_input(path, warnings);
  const auto open_directory = [&](const std::string& where) {
    out.path = where;
    out.directory = std::make_shared<const Directory>(where, options.follow_symlinks);
    out.source = decode_checkpoint(open_directory_weights(out.directory, out.only_file, warnings),
                                   out.directory.get(), warnings);
  };
  switch (out.kind) {
    case InputKind::gguf:
      out.source = open_gguf(path, options.max_metadata_bytes, warnings);
      break;
    case InputKind::directory:
      open_directory(path);
      break;
    case InputKind::weight_index:
      out.only_file = split(path).name;
      open_directory(split(path).directory);
      out.only_file.clear();  // all of the set
      break;
    case InputKind::safetensors: {
      const SplitPath parts = split(path);
      const Directory beside(parts.directory, options.follow_symlinks);
      if (!options.tensors_only && beside.contains("config.json")) {
        out.only_file = parts.name;
        open_directory(parts.directory);
      } else {
        out.source = decode_checkpoint(open_safetensors(path, warnings), nullptr, warnings);
      }
      break;
    }
  }
  if (!options.adapters.empty() && out.kind == InputKind::gguf)
    fail(ErrorCode::LR05, path, {},
         "adapters are merged into safetensors models; a GGUF file has other names and layouts");
  for (const AdapterOption& adapter : options.adapters)
    out.source = merge_adapter(std::move(out.source), adapter, options.follow_symlinks, warnings);
  return out;
}

// What the publisher calls the kind of model, for reports. (The plan reads the file again, and
// warns.)
std::optional<std::string> model_type_of(const Directory& directory) {
  constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
  const auto text = directory.read("config.json", kMaxBytes);
  if (!text) return std::nullopt;
  const auto document = JsonDocument::parse(*text, directory.path_of("config.json"), {}, nullptr);
  const Json root = document->root();
  const auto type = root.is_object() ? root.find("model_type") : std::nullopt;
  if (!type || type->kind() != JsonKind::string) return std::nullopt;
  return std::string(type->string());
}

}  // namespace

std::shared_ptr<const Source> open_source(const std::string& path, const OpenOptions& options,
                                          Warnings& warnings) {
  return open(path, options, warnings).source;
}

Model open_unconverted(const std::string& path, const OpenOptions& options, Warnings& warnings) {
  Opened opened = open(path, options, warnings);
  if (opened.directory == nullptr || !opened.directory->contains("config.json")) {
    fail(ErrorCode::QZ03, path, {},
         "a checkpoint is made from a model directory with a config.json, and this is none");
  }
  Model model = take_unconverted(std::move(opened.source));
  model.name = opened.only_file.empty() ? name_of_directory(opened.path) : name_of_file(path);
  model.architecture = model_type_of(*opened.directory).value_or(model.architecture);
  model.directory = std::move(opened.directory);
  return model;
}

Model open_model(const std::string& path, const OpenOptions& options, Warnings& warnings) {
  Opened opened = open(path, options, warnings);
  Model model;
  if (options.projector && opened.directory == nullptr)
    fail(ErrorCode::CF07, path, {},
         "--mmproj reads a model directory with a config.json, and this is none");
  if (opened.kind == InputKind::gguf) {
    model = take_gguf(std::move(opened.source));
    if (options.model_name) model.metadata.set("general.name", *options.model_name);
  } else if (options.tensors_only || opened.directory == nullptr) {
    model = convert_tensors_only(std::move(opened.source), options, warnings);
  } else {
    model = convert_directory(*opened.directory, last_component(opened.path),
                              std::move(opened.source), options, warnings);
  }
  model.name = opened.directory && opened.only_file.empty() ? name_of_directory(opened.path)
                                                            : name_of_file(path);
  return model;
}

}  // namespace quantize
