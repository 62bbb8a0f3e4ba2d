// The whole job on a generated F16 model: ours, the official library's quantizer and a plain copy
// of the input, on one file system, in turns, the input in the page cache; the minimum of the
// rounds counts, since noise only ever adds.
//
// Every measurement runs in a process of its own, forked while this one is small: its peak resident
// memory and the bytes it read are then its own. Time spent in fsync is given apart, since neither
// the official quantizer nor the copy calls it. The bytes of both sides are compared: speed of a
// different result means nothing.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "quantize/quantize.hpp"

#include "core/float16.hpp"
#include "formats/gguf/layout.hpp"
#include "support/oracle.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double kMebibyte = 1024.0 * 1024.0;
constexpr double kRowBudget = 60;  // seconds: a row that took longer gets no further round
const std::vector<std::string> kTargets = {"q4_k_m", "iq4_xs", "iq2_xs", "q6_k", "q8_0", "q4_0"};
const std::vector<std::string> kTogether = {"q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m"};

struct Options {
  std::string folder = fs::temp_directory_path().string();
  std::string json;  // file; empty: none
  std::uint64_t weights = 1'100'000'000;
  std::uint64_t sparse_weights = 70'000'000'000;
  std::uint64_t threads = 2;
  std::uint64_t rounds = 3;
  std::vector<std::string> only;  // targets, "together", "sparse"; empty: all
  bool wanted(const std::string& row) const {
    return only.empty() || std::find(only.begin(), only.end(), row) != only.end();
  }
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i], value = argv[i + 1];
    const auto number = [&](std::uint64_t& out) {
      const auto result = std::from_chars(value.data(), value.data() + value.size(), out);
      return result.ec == std::errc() && result.ptr == value.data() + value.size() && out != 0;
    };
    bool good = true;
    if (name == "--folder") {
      options.folder = value;
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--weights") {
      good = number(options.weights);
    } else if (name == "--sparse-weights") {
      good = number(options.sparse_weights);
    } else if (name == "--threads") {
      good = number(options.threads);
    } else if (name == "--rounds") {
      good = number(options.rounds);
    } else if (name == "--only") {
      options.only.emplace_back(value);
    } else {
      good = false;
    }
    if (!good) return false;
  }
  return argc % 2 == 1;
}

// A model of the llama architecture: as many layers as fit into the number of weights.
struct Architecture {
  std::uint64_t width, feed_forward, heads, kv_heads, vocabulary;
};
constexpr Architecture kSmall = {2048, 5632, 32, 4, 32000};
constexpr Architecture kLarge = {8192, 28672, 64, 8, 128256};

struct Tensors {
  std::vector<std::byte> header;
  std::vector<std::pair<std::string, Shape>> list;
  std::uint64_t data_bytes = 0;
};

Tensors describe(Architecture a, std::uint64_t weights) {
  const std::uint64_t kv = a.width / a.heads * a.kv_heads;
  const std::uint64_t per_layer =
      2 * a.width * a.width + 2 * kv * a.width + 3 * a.width * a.feed_forward;
  // The vocabulary has at most a fifth of the weights, so that small trials keep some layers.
  a.vocabulary = std::min(a.vocabulary, weights / (10 * a.width) / 32 * 32 + 32);
  const std::uint64_t in_layers = weights - std::min(weights, 2 * a.vocabulary * a.width);
  const std::uint64_t layers = std::max<std::uint64_t>(1, (in_layers + per_layer / 2) / per_layer);
  Tensors tensors;
  const auto add = [&](const std::string& name, const Shape& shape) {
    tensors.list.emplace_back(name + ".weight", shape);
  };
  add("token_embd", {a.vocabulary, a.width});
  for (std::uint64_t l = 0; l < layers; ++l) {
    const std::string block = "blk." + std::to_string(l) + ".";
    add(block + "attn_q", {a.width, a.width});
    add(block + "attn_k", {kv, a.width});
    add(block + "attn_v", {kv, a.width});
    add(block + "attn_output", {a.width, a.width});
    add(block + "ffn_gate", {a.feed_forward, a.width});
    add(block + "ffn_up", {a.feed_forward, a.width});
    add(block + "ffn_down", {a.width, a.feed_forward});
  }
  add("output", {a.vocabulary, a.width});
  Metadata metadata;
  const auto key = [&](const char* name, std::uint64_t value) {
    metadata.append(name, static_cast<std::uint32_t>(value));
  };
  metadata.append("general.architecture", std::string("llama"));
  key("llama.block_count", layers);
  key("llama.context_length", 2048);
  key("llama.embedding_length", a.width);
  key("llama.feed_forward_length", a.feed_forward);
  key("llama.attention.head_count", a.heads);
  key("llama.attention.head_count_kv", a.kv_heads);
  metadata.append("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  key("llama.vocab_size", a.vocabulary);
  key("general.file_type", 1);
  std::vector<gguf::TensorEntry> entries;
  for (const auto& [name, shape] : tensors.list) {
    entries.push_back({name, shape, DType::f16, tensors.data_bytes});
    tensors.data_bytes += stored_bytes(DType::f16, shape.values());
  }
  tensors.header = gguf::encode_header(metadata, entries);
  return tensors;
}

// A block of normal values, written again and again from a new place: every page of the file is its
// own, and no encoder remembers what it has seen.
void write_data(std::ofstream& file, std::uint64_t bytes) {
  std::vector<std::uint16_t> block((std::size_t{8} << 20) + 7777);
  Random random(1);
  for (std::uint16_t& half : block) half = float_to_half(random.normal() * 0.02F);
  const char* data = reinterpret_cast<const char*>(block.data());
  const std::uint64_t size = block.size() * sizeof block[0];
  for (std::uint64_t start = 0; bytes != 0; start = (start + 4242) % (size / 2)) {
    const std::uint64_t count = std::min(bytes, size - start);
    file.write(data + start, static_cast<std::streamsize>(count));
    bytes -= count;
  }
}

void write_model(const std::string& path, const Tensors& tensors, bool sparse) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(tensors.header.data()),
             static_cast<std::streamsize>(tensors.header.size()));
  if (!sparse) write_data(file, tensors.data_bytes);
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
  if (sparse) fs::resize_file(path, tensors.header.size() + tensors.data_bytes);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Measured {
  double seconds = 1e300;  // without sync
  double sync = 0;
  double cpu = 0;  // of all threads, kernel included
  std::uint64_t bytes_read = 0;
  std::uint64_t peak = 0;  // bytes resident
  char error[512] = {};

  void keep_best(const Measured& other) {
    const std::uint64_t largest = std::max(peak, other.peak);
    if (other.seconds < seconds) *this = other;
    peak = largest;
  }
};

std::uint64_t bytes_read() {
  std::ifstream file("/proc/self/io");
  std::string name;
  std::uint64_t count = 0;
  file >> name >> count;  // rchar
  return count;
}

// Does the work in a child process. The work returns the seconds that were spent in sync.
Measured measure_apart(const std::function<double()>& work) {
  ::sync();  // nobody pays for what was written before
  std::fflush(stdout);
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    Measured result;
    try {
      const std::uint64_t before = bytes_read();
      const Clock::time_point start = Clock::now();
      result.sync = work();
      result.seconds = seconds_since(start) - result.sync;
      result.bytes_read = bytes_read() - before;
    } catch (const std::exception& e) {
      std::snprintf(result.error, sizeof result.error, "%s", e.what());
    }
    const bool told = ::write(ends[1], &result, sizeof result) == sizeof result;
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  Measured result;
  const ssize_t got = ::read(ends[0], &result, sizeof result);
  ::close(ends[0]);
  int status = 0;
  rusage usage = {};
  ::wait4(child, &status, 0, &usage);
  if (got != sizeof result || status != 0) throw std::runtime_error("a measured process died");
  if (result.error[0] != '\0') throw std::runtime_error(result.error);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  result.cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  result.peak = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  return result;
}

// Passes everything on and knows how long the syncs took.
class TimedSink final : public Sink {
 public:
  TimedSink(std::unique_ptr<Sink> sink, double& seconds)
      : sink_(std::move(sink)), total_(seconds) {}
  void begin(const Plan& plan) override { sink_->begin(plan); }
  void write(std::size_t file, std::size_t tensor, std::uint64_t offset,
             std::span<const std::byte> bytes) override {
    sink_->write(file, tensor, offset, bytes);
  }
  void start_write_back() noexcept override { sink_->start_write_back(); }
  bool sequential() const noexcept override { return sink_->sequential(); }
  void finish() override {
    const Clock::time_point start = Clock::now();
    sink_->finish();
    total_ += seconds_since(start);
  }
  void publish() override {
    const Clock::time_point start = Clock::now();
    sink_->publish();
    total_ += seconds_since(start);
  }
  void withdraw() noexcept override { sink_->withdraw(); }
  std::vector<std::string> paths() const override { return sink_->paths(); }

 private:
  std::unique_ptr<Sink> sink_;
  double& total_;
};

using Weights = std::shared_ptr<const ImportanceData>;

Weights make_importance(const Tensors& tensors) {
  auto data = std::make_shared<ImportanceData>();
  Random random(2);
  for (const auto& [name, shape] : tensors.list) {
    ImportanceEntry entry{name, std::vector<float>(shape.row_values())};
    for (float& weight : entry.weights) {
      const float x = random.normal();
      weight = x * x + 0.001F;
    }
    data->entries.push_back(std::move(entry));
  }
  std::sort(data->entries.begin(), data->entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return data;
}

// What the command does: opens, plans, runs, and renders the report. Returns the time of the syncs.
double run_ours(const std::string& input, const std::vector<std::string>& targets,
                const std::vector<std::string>& paths, const Weights& importance,
                std::uint64_t threads) {
  Warnings warnings;
  const Model model = open_model(input, {}, warnings);
  std::vector<Plan> plans;
  for (const std::string& target : targets) {
    Recipe recipe;
    recipe.target = find_target(target);
    recipe.reference_quirks = true;
    recipe.importance = importance;
    plans.push_back(make_plan(model, recipe, warnings));
  }
  double sync = 0;
  std::vector<std::unique_ptr<Sink>> sinks;
  std::vector<Output> outputs;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    sinks.push_back(std::make_unique<TimedSink>(
        make_file_sink(paths[i], {IfExists::replace, false, {}}, warnings), sync));
    outputs.push_back({&plans[i], sinks.back().get()});
  }
  RunOptions options;
  options.threads = static_cast<unsigned>(threads);
  InputReport report;
  report.outputs = run(model, outputs, options, warnings);
  std::ostringstream text;
  write_reports({&report, 1}, "txt", text);
  return sync;
}

double run_official(const std::string& input, const std::string& target, const std::string& output,
                    const Weights& importance, std::uint64_t threads) {
  Oracle::QuantizeOptions options;
  options.file_type = find_target(target).preset->file_type;
  options.threads = static_cast<std::int32_t>(threads);
  if (importance) {
    for (const ImportanceEntry& entry : importance->entries)
      options.importance.emplace_back(entry.name, entry.weights);
  }
  if (Oracle::instance().quantize_file(input, output, options) != 0)
    throw std::runtime_error("the official quantizer failed");
  return 0;
}

double run_copy(const std::string& input, const std::string& output) {
  const std::string command = "cp --reflink=never --sparse=never '" + input + "' '" + output + "'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("cp failed");
  return 0;
}

// The tensor data of two files: their last `bytes`, since the header may hold other keys.
bool same_data(const std::string& a, const std::string& b, std::uint64_t bytes) {
  std::ifstream files[] = {std::ifstream(a, std::ios::binary), std::ifstream(b, std::ios::binary)};
  for (std::ifstream& file : files) file.seekg(-static_cast<std::streamoff>(bytes), std::ios::end);
  std::vector<char> parts[] = {std::vector<char>(1 << 20), std::vector<char>(1 << 20)};
  while (bytes != 0) {
    const std::uint64_t count = std::min<std::uint64_t>(bytes, parts[0].size());
    for (int i = 0; i < 2; ++i)
      if (!files[i].read(parts[i].data(), static_cast<std::streamsize>(count))) return false;
    if (std::memcmp(parts[0].data(), parts[1].data(), count) != 0) return false;
    bytes -= count;
  }
  return true;
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        folder_(options.folder + "/quantize-bench-" + std::to_string(::getpid())) {
    fs::create_directory(folder_);
    report_ = {{"weights", options.weights},
               {"threads", options.threads},
               {"rounds", options.rounds},
               {"rows", nlohmann::json::array()}};
  }
  ~Bench() { fs::remove_all(folder_); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  bool run() {
    const Tensors tensors = describe(kSmall, options_.weights);
    write_model(input_, tensors, false);
    const double gigabytes = static_cast<double>(fs::file_size(input_)) / 1e9;
    std::printf("F16 GGUF of %.2f GB, %llu threads, seconds without sync, best of %llu\n",
                gigabytes, static_cast<unsigned long long>(options_.threads),
                static_cast<unsigned long long>(options_.rounds));
    std::printf("%-8s %8s %7s %7s %9s %7s %7s %7s %6s %8s %6s %s\n", "target", "ours", "sync",
                "cpu", "official", "factor", "cp", "of cp", "GB/s", "peak MiB", "read", "bytes");
    for (const std::string& target : kTargets)
      if (options_.wanted(target))
        row(target, target == "iq2_xs" ? make_importance(tensors) : nullptr);
    if (options_.wanted("together")) together();
    fs::remove(input_);
    if (options_.wanted("sparse")) sparse();
    if (!options_.json.empty()) std::ofstream(options_.json) << report_.dump(2) << '\n';
    return good_;
  }

 private:
  // A step that fails (a target that does not exist ...) is shown and does not end the rest.
  void guarded(const std::string& name, const std::function<void()>& step) {
    try {
      step();
    } catch (const std::exception& e) {
      std::printf("%-8s %s\n", name.c_str(), e.what());
      report_["rows"].push_back({{"target", name}, {"error", e.what()}});
      good_ = false;
    }
    std::fflush(stdout);
  }

  void row(const std::string& target, const Weights& importance) {
    guarded(target, [&] {
      Measured ours, official, copy;
      const Clock::time_point start = Clock::now();
      for (std::uint64_t r = 0; r < options_.rounds; ++r) {
        if (r != 0 && seconds_since(start) > kRowBudget) break;
        copy.keep_best(measure_apart([&] { return run_copy(input_, copy_); }));
        fs::remove(copy_);
        fs::remove(ours_);
        ours.keep_best(measure_apart(
            [&] { return run_ours(input_, {target}, {ours_}, importance, options_.threads); }));
        if (!have_official_) continue;
        fs::remove(official_);
        official.keep_best(measure_apart(
            [&] { return run_official(input_, target, official_, importance, options_.threads); }));
      }
      const auto size = static_cast<double>(fs::file_size(input_));
      nlohmann::json entry = json_of(target, ours);
      entry["copy"] = copy.seconds;
      entry["of_copy"] = ours.seconds / copy.seconds;
      std::printf("%-8s %8.2f %7.2f %7.2f ", target.c_str(), ours.seconds, ours.sync, ours.cpu);
      if (have_official_) {
        Warnings warnings;
        const auto source = open_source(ours_, {}, warnings);
        const std::uint64_t data = fs::file_size(ours_) - source->tensors().front().data_offset;
        const bool equal = same_data(ours_, official_, data);
        good_ = good_ && equal;
        entry["official"] = official.seconds;
        entry["official_cpu"] = official.cpu;
        entry["official_peak"] = official.peak;
        entry["factor"] = official.seconds / ours.seconds;
        entry["bytes_equal"] = equal;
        std::printf("%9.2f %6.2fx ", official.seconds, official.seconds / ours.seconds);
        print_rest(ours, copy, size, equal ? "equal" : "DIFFER");
      } else {
        std::printf("%9s %7s ", "-", "-");
        print_rest(ours, copy, size, "no official library: run tools/oracles.sh");
      }
      report_["rows"].push_back(entry);
    });
  }

  void print_rest(const Measured& ours, const Measured& copy, double size,
                  const char* bytes) const {
    std::printf("%7.2f %6.2fx %6.2f %8.1f %5.2fx %s\n", copy.seconds, ours.seconds / copy.seconds,
                size / ours.seconds / 1e9, static_cast<double>(ours.peak) / kMebibyte,
                static_cast<double>(ours.bytes_read) / size, bytes);
  }

  static nlohmann::json json_of(const std::string& name, const Measured& m) {
    return {{"target", name}, {"seconds", m.seconds}, {"sync", m.sync},
            {"cpu", m.cpu},   {"peak", m.peak},       {"bytes_read", m.bytes_read}};
  }

  // Several outputs from one read against the same outputs one by one.
  void together() {
    guarded("together", [&] {
      std::vector<std::string> paths;
      for (const std::string& target : kTogether) paths.push_back(folder_ + "/" + target + ".gguf");
      double best_sum = 1e300;
      Measured all;
      const Clock::time_point start = Clock::now();
      for (std::uint64_t r = 0; r < options_.rounds; ++r) {
        if (r != 0 && seconds_since(start) > 2 * kRowBudget) break;
        double sum = 0;
        for (std::size_t i = 0; i < kTogether.size(); ++i) {
          sum += measure_apart([&] {
                   return run_ours(input_, {kTogether[i]}, {paths[i]}, nullptr, options_.threads);
                 }).seconds;
          fs::remove(paths[i]);
        }
        best_sum = std::min(best_sum, sum);
        all.keep_best(measure_apart(
            [&] { return run_ours(input_, kTogether, paths, nullptr, options_.threads); }));
        for (const std::string& path : paths) fs::remove(path);
      }
      const double read =
          static_cast<double>(all.bytes_read) / static_cast<double>(fs::file_size(input_));
      std::printf(
          "five at once: %.2f s, one by one %.2f s: %.3f of it; peak %.1f MiB; input read %.2fx\n",
          all.seconds, best_sum, all.seconds / best_sum, static_cast<double>(all.peak) / kMebibyte,
          read);
      nlohmann::json entry = json_of("together", all);
      entry["one_by_one"] = best_sum;
      entry["part"] = all.seconds / best_sum;
      report_["rows"].push_back(entry);
    });
  }

  void sparse() {
    guarded("sparse", [&] {
      const std::string path = folder_ + "/sparse.gguf";
      write_model(path, describe(kLarge, options_.sparse_weights), true);
      const Measured m = measure_apart(
          [&] { return run_ours(path, {"q8_0"}, {"/dev/null"}, nullptr, options_.threads); });
      std::printf("sparse file of %.0f GB to /dev/null as q8_0: %.1f s, peak %.1f MiB\n",
                  static_cast<double>(fs::file_size(path)) / 1e9, m.seconds,
                  static_cast<double>(m.peak) / kMebibyte);
      report_["rows"].push_back(json_of("sparse", m));
      fs::remove(path);
    });
  }

  const Options& options_;
  std::string folder_;
  std::string input_ = folder_ + "/input.gguf", copy_ = folder_ + "/copy.gguf",
              ours_ = folder_ + "/ours.gguf", official_ = folder_ + "/official.gguf";
  bool have_official_ = !oracle_missing(Oracle::kName);
  bool good_ = true;
  nlohmann::json report_;
};

}  // namespace
}  // namespace quantize::test

int main(int argc, char** argv) {
  quantize::test::Options options;
  if (!quantize::test::parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: program_bench [--folder DIR] [--weights N] [--sparse-weights N] "
                 "[--threads N] [--rounds N] [--only ROW]... [--json FILE]\n"
                 "rows: the targets, together, sparse\n");
    return 64;
  }
  return quantize::test::Bench(options).run() ? 0 : 1;
}
