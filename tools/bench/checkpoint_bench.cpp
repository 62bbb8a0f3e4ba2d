// Checkpoint formats, ours against the Python writer of the same format: the encoding of one matrix
// on one thread, and the whole job on a generated BF16 model (read, quantize, write a directory).
//
// The Python side is one process that waits for its turn (checkpoint_writers.py); it reads the same
// files. Both sides take turns, and the minimum of the rounds counts, since noise only ever adds.
// Ours includes widening the values and, where a format needs one, the pass before; the pass that
// measures errors is part of the whole job only. One thread is measured in processor time. "decode"
// is the reading of the checkpoint that was written. Python's job ends when its file is written;
// ours also has a report. Neither time contains a sync.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "quantize/isa.hpp"
#include "quantize/quantize.hpp"
#include "quantize/quantizer.hpp"

#include "core/float16.hpp"
#include "plan/checkpoint.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kTileValues = 16384;       // as the pipeline cuts rows ...
constexpr std::uint64_t kSlabValues = 512 * 1024;  // ... and matrices that are transposed
constexpr std::uint64_t kRows = 2048, kColumns = 4096;
constexpr double kRowBudget = 60;  // seconds: a row that took longer gets no further round

// A target of ours and the Python writers that are held against it.
struct Row {
  const char* target;
  std::vector<const char*> writers;
};
const std::vector<Row> kTable = {{"bnb:nf4", {"bnb:nf4"}},
                                 {"bnb:nf4-plain", {"bnb:nf4-plain"}},
                                 {"bnb:fp4", {"bnb:fp4"}},
                                 {"bnb:int8", {"bnb:int8"}},
                                 {"ct:int8", {"ct:int8"}},
                                 {"ct:int4", {"ct:int4"}},
                                 {"ct:mxfp4", {"ct:mxfp4"}},
                                 {"ct:nvfp4", {"ct:nvfp4"}},
                                 {"modelopt:nvfp4", {"modelopt:nvfp4"}},
                                 {"fp8:tensor", {"fp8:tensor"}},
                                 {"fp8:channel", {"fp8:channel"}},
                                 {"fp8:block", {"fp8:block"}},
                                 {"gptq:4-absmax", {"gptq:4", "gptq:4 native"}},
                                 {"gptq:4", {"gptq:4", "gptq:4 native"}},
                                 {"awq:4-absmax", {"awq:4", "awq:4 gptqmodel"}},
                                 {"awq:4", {"awq:4", "awq:4 gptqmodel"}},
                                 {"ct:int4-mse", {}},
                                 {"ct:int4-percentile", {}},
                                 {"ct:int4-asym", {}},
                                 {"ct:int3", {}},
                                 {"gptq:3-absmax", {}}};

struct Options {
  std::string folder = fs::temp_directory_path().string();
  std::string python, sources, json;  // empty: none
  std::string script = QUANTIZE_CHECKPOINT_WRITERS;
  std::uint64_t layers = 4;  // of the whole job's model, 42 million weights each; 0: no such job
  std::uint64_t threads = 2;
  std::uint64_t rounds = 5;
  std::vector<std::string> targets;  // empty: all
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i], value = argv[i + 1];
    const auto number = [&](std::uint64_t& out) {
      const auto result = std::from_chars(value.data(), value.data() + value.size(), out);
      return result.ec == std::errc() && result.ptr == value.data() + value.size();
    };
    bool good = true;
    if (name == "--folder") {
      options.folder = value;
    } else if (name == "--python") {
      options.python = value;
    } else if (name == "--sources") {
      options.sources = value;
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--layers") {
      good = number(options.layers);
    } else if (name == "--threads") {
      good = number(options.threads) && options.threads != 0;
    } else if (name == "--rounds") {
      good = number(options.rounds) && options.rounds != 0;
    } else if (name == "--isa") {
      good = force_isa(value);
    } else if (name == "--target") {
      options.targets.emplace_back(value);
    } else {
      good = false;
    }
    if (!good) return false;
  }
  return argc % 2 == 1;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double thread_seconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// A safetensors file of BF16 matrices with normal values.
void write_weights(const std::string& path,
                   const std::vector<std::pair<std::string, std::array<std::uint64_t, 2>>>& list) {
  nlohmann::json header;
  std::uint64_t end = 0;
  for (const auto& [name, shape] : list) {
    const std::uint64_t begin = end;
    end += shape[0] * shape[1] * 2;
    header[name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::ofstream file(path, std::ios::binary);
  const std::uint64_t length = text.size();
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << text;
  std::vector<std::uint16_t> block((std::size_t{4} << 20) + 7777);
  Random random(1);
  for (std::uint16_t& x : block) x = float_to_bfloat16(random.normal() * 0.02F);
  for (std::uint64_t done = 0; done < end;) {
    const std::uint64_t count = std::min<std::uint64_t>(end - done, block.size() * 2);
    file.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(count));
    done += count;
  }
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

// The process of the Python writers.
class Writers {
 public:
  Writers(const Options& options, std::uint64_t threads) {
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0)
      throw std::runtime_error("pipe");
    const std::string count = std::to_string(threads);
    child_ = ::fork();
    if (child_ < 0) throw std::runtime_error("fork");
    if (child_ == 0) {
      ::dup2(to[0], 0);
      ::dup2(from[1], 1);
      ::execlp(options.python.c_str(), options.python.c_str(), options.script.c_str(),
               count.c_str(), options.sources.empty() ? nullptr : options.sources.c_str(),
               static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = ::fdopen(to[1], "w");
    from_ = ::fdopen(from[0], "r");
  }
  ~Writers() {
    std::fclose(to_);
    std::fclose(from_);
    int status = 0;
    ::waitpid(child_, &status, 0);
  }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;

  // Seconds, or what is missing as an exception.
  double ask(const std::string& line) {
    std::fprintf(to_, "%s\n", line.c_str());
    std::fflush(to_);
    char answer[1024];
    if (!std::fgets(answer, sizeof answer, from_))
      throw std::runtime_error("the Python process ended");
    double seconds = 0;
    if (std::sscanf(answer, "%lf", &seconds) != 1)
      throw std::runtime_error(std::string(answer, std::strcspn(answer, "\n")));
    return seconds;
  }

 private:
  pid_t child_ = 0;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

// Encodes a matrix as a worker does: widened tile by tile, surveyed before if the format asks.
double encode_ours(const WeightFormat& format, const std::vector<std::byte>& stored) {
  const Matrix matrix{{kRows, kColumns}, DType::bf16};
  const std::vector<WeightPart> parts = format.parts(matrix);
  const bool whole = std::any_of(parts.begin(), parts.end(),
                                 [](const WeightPart& part) { return part.lines > 1; });
  const std::uint64_t unit = format.row_unit(matrix.size);
  const std::uint64_t wanted = (whole ? kSlabValues : kTileValues) / kColumns;
  const std::uint64_t rows = std::max<std::uint64_t>(1, wanted / unit) * unit;
  std::vector<float> values(rows * kColumns), decoded(values.size());
  std::vector<std::vector<std::byte>> buffers;
  for (const WeightPart& part : parts) {
    buffers.emplace_back(part.entry_values == 0 ? 0
                                                : part.lines * entry_bytes(part, values.size()));
  }
  std::vector<std::byte*> places;
  for (auto& buffer : buffers) places.push_back(buffer.data());
  const auto widen = find_quantizer(DType::bf16)->decode;
  const auto for_each = [&](auto&& work) {
    for (std::uint64_t row = 0; row < kRows; row += rows) {
      const std::uint64_t count = std::min(rows, kRows - row);
      widen(stored.data() + row * kColumns * 2, count * kColumns, values.data());
      work(count);
    }
  };
  const double start = thread_seconds();
  double survey = 0;
  if (format.survey_fold() != SurveyFold::none) {
    for_each([&](std::uint64_t count) {
      const double part = format.survey(values.data(), count * kColumns);
      survey = format.survey_fold() == SurveyFold::largest ? std::max(survey, part) : survey + part;
    });
    survey = format.survey_result(survey, matrix.size);
  }
  for_each([&](std::uint64_t count) {
    format.encode(matrix, {values.data(), count, kColumns, survey}, places, decoded.data());
  });
  return thread_seconds() - start;
}

// What the command does. Returns the seconds, without those of the final sync.
double run_ours(const std::string& input, const std::string& target, const std::string& output,
                std::uint64_t threads) {
  const Clock::time_point start = Clock::now();
  Warnings warnings;
  const Model model = open_unconverted(input, {}, warnings);
  Recipe recipe;
  recipe.target = find_target(target);
  const Plan plan = make_plan(model, recipe, warnings);
  const auto sink = make_directory_sink(output, {IfExists::replace, false, {}}, warnings);
  const Output out{&plan, sink.get()};
  RunOptions options;
  options.threads = static_cast<unsigned>(threads);
  double seconds = 0;
  options.before_publish = [&](std::span<const Report>) { seconds = -seconds_since(start); };
  InputReport report;
  report.outputs = run(model, {&out, 1}, options, warnings);
  std::ostringstream text;
  write_reports({&report, 1}, "txt", text);
  return -seconds;
}

// Reads a checkpoint as a worker does, in slabs; processor seconds per million values.
double decode_ours(const std::string& checkpoint) {
  Warnings warnings;
  const auto source = open_source(checkpoint, {}, warnings);
  std::vector<std::byte> slab;
  double seconds = 0, millions = 0;
  for (std::size_t t = 0; t < source->tensors().size(); ++t) {
    const SourceTensor& tensor = source->tensors()[t];
    const std::uint64_t row = tensor.shape.row_values();
    const std::uint64_t step = std::max<std::uint64_t>(1, kSlabValues / row) * row;
    const double start = thread_seconds();
    for (std::uint64_t at = 0; at < tensor.shape.values(); at += step) {
      const std::uint64_t count = std::min(step, tensor.shape.values() - at);
      slab.resize(stored_bytes(tensor.type, count));
      source->read(t, stored_bytes(tensor.type, at), slab);
    }
    seconds += thread_seconds() - start;
    millions += static_cast<double>(tensor.shape.values()) / 1e6;
  }
  return seconds / millions;
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        folder_(options.folder + "/checkpoint-bench-" + std::to_string(::getpid())) {
    fs::create_directories(folder_ + "/model");
    fs::create_directories(folder_ + "/theirs");
    write_weights(folder_ + "/matrix.safetensors", {{"w", {kRows, kColumns}}});
    stored_.resize(kRows * kColumns * 2);
    std::ifstream file(folder_ + "/matrix.safetensors", std::ios::binary);
    file.seekg(-static_cast<std::streamoff>(stored_.size()), std::ios::end);
    file.read(reinterpret_cast<char*>(stored_.data()),
              static_cast<std::streamsize>(stored_.size()));
    if (options_.layers != 0) write_model();
    if (options_.python.empty()) return;
    one_thread_ = std::make_unique<Writers>(options_, 1);
    one_thread_->ask("open\t" + folder_ + "/matrix.safetensors");
    if (options_.layers != 0) threads_ = std::make_unique<Writers>(options_, options_.threads);
  }
  ~Bench() { fs::remove_all(folder_); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void run() {
    std::printf(
        "%s, one thread for a matrix of %llu x %llu, %llu threads for a model of %.0f "
        "million weights, best of %llu\n",
        std::string(active_isa()).c_str(), static_cast<unsigned long long>(kRows),
        static_cast<unsigned long long>(kColumns),
        static_cast<unsigned long long>(options_.threads), model_millions_,
        static_cast<unsigned long long>(options_.rounds));
    std::printf("%-19s %-17s | %9s %9s %7s | %9s %9s %7s | %9s\n", "", "", "ms per M", "", "", "s",
                "", "", "ms per M");
    std::printf("%-19s %-17s | %9s %9s %7s | %9s %9s %7s | %9s\n", "target", "Python's writer",
                "encode", "Python", "factor", "program", "Python", "factor", "decode");
    for (const Row& row : kTable) {
      if (!options_.targets.empty() && std::find(options_.targets.begin(), options_.targets.end(),
                                                 row.target) == options_.targets.end()) {
        continue;
      }
      measure(row);
    }
    if (!options_.json.empty()) std::ofstream(options_.json) << report_.dump(2) << '\n';
  }

 private:
  void write_model() {
    std::vector<std::pair<std::string, std::array<std::uint64_t, 2>>> list;
    for (std::uint64_t l = 0; l < options_.layers; ++l) {
      const std::string layer = "model.layers." + std::to_string(l) + ".";
      list.push_back({layer + "self_attn.q_proj.weight", {2048, 2048}});
      list.push_back({layer + "self_attn.k_proj.weight", {512, 2048}});
      list.push_back({layer + "self_attn.v_proj.weight", {512, 2048}});
      list.push_back({layer + "self_attn.o_proj.weight", {2048, 2048}});
      list.push_back({layer + "mlp.gate_proj.weight", {5632, 2048}});
      list.push_back({layer + "mlp.up_proj.weight", {5632, 2048}});
      list.push_back({layer + "mlp.down_proj.weight", {2048, 5632}});
    }
    for (const auto& [name, shape] : list)
      model_millions_ += static_cast<double>(shape[0] * shape[1]) / 1e6;
    write_weights(folder_ + "/model/model.safetensors", list);
    std::ofstream(folder_ + "/model/config.json")
        << R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})";
  }

  struct Best {
    double encode = 1e300, program = 1e300, decode = 1e300;
    std::string missing;
  };

  void measure(const Row& row) {
    const WeightFormatPtr format = find_checkpoint(row.target)->format;
    Best ours;
    std::vector<Best> theirs(row.writers.size());
    const Clock::time_point start = Clock::now();
    for (std::uint64_t r = 0; r < options_.rounds; ++r) {
      if (r != 0 && seconds_since(start) > kRowBudget) break;
      ours.encode = std::min(ours.encode, encode_ours(*format, stored_));
      if (options_.layers != 0)
        ours.program = std::min(ours.program, run_ours(folder_ + "/model", row.target,
                                                       folder_ + "/ours", options_.threads));
      if (options_.layers != 0) ours.decode = std::min(ours.decode, decode_ours(folder_ + "/ours"));
      for (std::size_t w = 0; w < theirs.size(); ++w) ask(row.writers[w], theirs[w]);
    }
    const double millions = static_cast<double>(kRows * kColumns) / 1e6;
    nlohmann::json entry = {{"target", row.target},
                            {"encode_ms_per_million", ours.encode * 1e3 / millions},
                            {"writers", nlohmann::json::array()}};
    if (options_.layers != 0) {
      entry["program_seconds"] = ours.program;
      entry["decode_ms_per_million"] = ours.decode * 1e3;
    }
    if (theirs.empty()) print(row.target, "", ours, nullptr, millions);
    for (std::size_t w = 0; w < theirs.size(); ++w) {
      print(w == 0 ? row.target : "", row.writers[w], ours, &theirs[w], millions);
      nlohmann::json writer = {{"name", row.writers[w]}};
      if (!theirs[w].missing.empty()) writer["missing"] = theirs[w].missing;
      if (theirs[w].encode < 1e300) {
        writer["encode_ms_per_million"] = theirs[w].encode * 1e3 / millions;
        writer["encode_factor"] = theirs[w].encode / ours.encode;
      }
      if (theirs[w].program < 1e300) {
        writer["program_seconds"] = theirs[w].program;
        writer["program_factor"] = theirs[w].program / ours.program;
      }
      entry["writers"].push_back(writer);
    }
    report_["rows"].push_back(entry);
    std::fflush(stdout);
  }

  void ask(const std::string& writer, Best& best) {
    if (!one_thread_ || !best.missing.empty()) return;
    try {
      best.encode = std::min(best.encode, one_thread_->ask("encode\t" + writer));
      if (threads_)
        best.program = std::min(best.program, threads_->ask("program\t" + writer + "\t" + folder_ +
                                                            "/model\t" + folder_ + "/theirs"));
    } catch (const std::exception& e) {
      best.missing = e.what();
    }
  }

  void print(const char* target, const char* writer, const Best& ours, const Best* theirs,
             double millions) const {
    const auto column = [](double value, int decimals, const char* unit) {
      if (value < 1e290)
        std::printf(" %*.*f%s", 9 - static_cast<int>(std::strlen(unit)), decimals, value, unit);
      else
        std::printf(" %9s", "-");
    };
    std::printf("%-19s %-17s |", target, writer);
    const double none = 1e300;
    column(ours.encode * 1e3 / millions, 2, "");
    column(theirs ? theirs->encode * 1e3 / millions : none, 2, "");
    column(theirs ? theirs->encode / ours.encode : none, 1, "x");
    std::printf(" |");
    column(ours.program, 2, "");
    column(theirs ? theirs->program : none, 2, "");
    column(theirs && theirs->program < none ? theirs->program / ours.program : none, 1, "x");
    std::printf(" |");
    column(ours.decode * 1e3, 2, "");
    std::printf("%s%s\n", theirs && !theirs->missing.empty() ? "  " : "",
                theirs ? theirs->missing.c_str() : "");
  }

  const Options& options_;
  std::string folder_;
  std::vector<std::byte> stored_;
  double model_millions_ = 0;
  std::unique_ptr<Writers> one_thread_, threads_;
  nlohmann::json report_;
};

}  // namespace
}  // namespace quantize::test

int main(int argc, char** argv) {
  quantize::test::Options options;
  if (!quantize::test::parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: checkpoint_bench [--python PYTHON] [--sources DIR] [--folder DIR] "
                 "[--layers N] [--threads N] [--rounds N] [--isa NAME] [--target NAME]... "
                 "[--json FILE]\n");
    return 64;
  }
  try {
    quantize::test::Bench(options).run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "checkpoint_bench: %s\n", e.what());
    return 1;
  }
  return 0;
}
