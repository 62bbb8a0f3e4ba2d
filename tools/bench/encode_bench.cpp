// Encode speed of every type and mode, ours and the official library's in one process.
//
// Both sides read the same values and take turns, so that a busy machine slows both; the minimum of
// the repetitions counts, since noise only ever adds. The bytes are compared every time: speed of a
// different result means nothing. The first row is what memory alone allows: read the values and
// write a quarter as many bytes.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "quantize/isa.hpp"
#include "quantize/quantizer.hpp"

#include "support/oracle.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

using namespace quantize;

constexpr std::uint64_t kColumns = 4096;

struct Options {
  std::uint64_t mebibytes = 256;  // of floats
  std::uint64_t repetitions = 5;
  std::vector<std::string> types;  // empty: all
  std::string json;                // file; empty: none
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    const auto number = [&](std::uint64_t& out) {
      const auto result = std::from_chars(value.data(), value.data() + value.size(), out);
      return result.ec == std::errc() && result.ptr == value.data() + value.size() && out != 0;
    };
    if (name == "--mib") {
      if (!number(options.mebibytes)) return false;
    } else if (name == "--repetitions") {
      if (!number(options.repetitions)) return false;
    } else if (name == "--type") {
      options.types.emplace_back(value);
    } else if (name == "--isa") {
      if (!force_isa(value)) return false;
    } else if (name == "--json") {
      options.json = value;
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

template <class Work>
double seconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

void encode_ours(const Quantizer& quantizer, const std::vector<float>& values,
                 const float* importance, std::vector<std::byte>& blocks) {
  const EncodeInput input{values.data(), values.size() / kColumns, kColumns, importance, nullptr};
  quantizer.encode(input, blocks.data());
}

int run(const Options& options) {
  const bool have_reference = !test::oracle_missing(test::Oracle::kName);
  const std::size_t count = options.mebibytes * (1024 * 1024 / sizeof(float));
  std::vector<float> values(count);
  std::vector<float> row(kColumns);
  test::Random random(1);
  for (std::size_t at = 0; at < count; at += kColumns) {
    test::fill_row(test::RowKind::from_bf16, random, row);
    std::copy(row.begin(), row.end(), values.begin() + static_cast<std::ptrdiff_t>(at));
  }
  std::vector<float> importance(kColumns);
  for (float& weight : importance) {
    const float x = random.normal();
    weight = x * x + 0.001F;
  }

  const double million = static_cast<double>(count) / 1e6;
  nlohmann::json report = {{"cpu", cpu_name()},
                           {"compiler", __VERSION__},
                           {"values", count},
                           {"row_values", kColumns},
                           {"repetitions", options.repetitions},
                           {"unit", "million values per second"},
                           {"rows", nlohmann::json::array()}};
  report["isa"] = active_isa();
  std::printf("%s, %s, compiler %s, %zu values, minimum of %llu\n", cpu_name().c_str(),
              std::string(active_isa()).c_str(), __VERSION__, count,
              static_cast<unsigned long long>(options.repetitions));
  std::printf("%-8s %-9s %10s %10s %8s\n", "type", "mode", "Mvalues/s", "reference", "factor");

  std::vector<std::byte> ours(count * sizeof(float));
  std::vector<std::byte> theirs(count * sizeof(float));
  double copy = std::numeric_limits<double>::infinity();
  for (std::uint64_t r = 0; r < options.repetitions; ++r) {
    copy = std::min(copy, seconds([&] {
                      for (std::size_t i = 0; i < count; i += 4) {
                        std::uint32_t bits[4];
                        std::memcpy(bits, &values[i], sizeof bits);
                        const std::uint32_t mixed = bits[0] ^ bits[1] ^ bits[2] ^ bits[3];
                        std::memcpy(&ours[i], &mixed, sizeof mixed);
                      }
                    }));
  }
  std::printf("%-8s %-9s %10.1f\n", "(memory)", "", million / copy);
  report["memory"] = million / copy;

  bool equal = true;
  double log_factors = 0;
  int factors = 0;
  for (const Quantizer& quantizer : quantizers()) {
    const std::string name(info(quantizer.type).name);
    if (quantizer.encode == nullptr) continue;
    if (!options.types.empty() &&
        std::find(options.types.begin(), options.types.end(), name) == options.types.end()) {
      continue;
    }
    for (const bool weighted : {false, true}) {
      if (weighted && quantizer.importance == ImportanceUse::unused) continue;
      if (!weighted && quantizer.importance == ImportanceUse::required) continue;
      const float* weights = weighted ? importance.data() : nullptr;
      double mine = std::numeric_limits<double>::infinity();
      double reference = mine;
      const std::size_t bytes = stored_bytes(quantizer.type, count);
      for (std::uint64_t r = 0; r < options.repetitions; ++r) {
        mine = std::min(mine, seconds([&] { encode_ours(quantizer, values, weights, ours); }));
        if (!have_reference) continue;
        reference = std::min(reference, seconds([&] {
                               test::Oracle::instance().encode_into(
                                   quantizer.type, values, kColumns, weights, theirs.data());
                             }));
        equal = equal && std::memcmp(ours.data(), theirs.data(), bytes) == 0;
      }
      const char* mode = weighted ? "weighted" : "plain";
      nlohmann::json entry = {{"type", name}, {"mode", mode}, {"speed", million / mine}};
      std::printf("%-8s %-9s %10.1f", name.c_str(), mode, million / mine);
      if (have_reference) {
        std::printf(" %10.1f %7.2fx", million / reference, reference / mine);
        entry["reference"] = million / reference;
        entry["factor"] = reference / mine;
        log_factors += std::log(reference / mine);
        ++factors;
      }
      std::printf("\n");
      std::fflush(stdout);
      report["rows"].push_back(entry);
    }
  }
  if (factors != 0) {
    const double mean = std::exp(log_factors / factors);
    std::printf("geometric mean of the factors: %.2f\n", mean);
    report["geometric_mean"] = mean;
    report["bytes_equal"] = equal;
    if (!equal) std::printf("THE BYTES DIFFER\n");
  } else {
    std::printf("no reference: run tools/oracles.sh\n");
  }
  if (!options.json.empty()) std::ofstream(options.json) << report.dump(2) << '\n';
  return equal ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: encode_bench [--mib N] [--repetitions N] [--type NAME]... [--isa NAME] "
                 "[--json FILE]\n");
    return 64;
  }
  return run(options);
}
