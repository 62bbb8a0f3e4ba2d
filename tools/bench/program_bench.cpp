// The whole job on a generated model: ours, the official library's quantizer and a plain copy of
// the input, on the same file system, interleaved; the minimum of the rounds counts.
//   program_bench FOLDER [MILLION_WEIGHTS [PRESET [THREADS [ROUNDS]]]]
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quantize/quantize.hpp"

#include "support/gguf_builder.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kWidth = 2048, kFeedForward = 5632, kVocabulary = 8192;

// BF16 weights of the llama architecture, at least `weights` of them.
void write_model(const std::string& path, std::uint64_t weights) {
  const std::uint64_t per_layer = 4 * kWidth * kWidth + 3 * kWidth * kFeedForward;
  const auto layers = static_cast<std::uint32_t>((weights + per_layer - 1) / per_layer);
  testing::GgufBuilder builder;
  builder.key("general.architecture", std::string("llama"))
      .key("llama.block_count", layers)
      .key("llama.embedding_length", static_cast<std::uint32_t>(kWidth))
      .key("llama.feed_forward_length", static_cast<std::uint32_t>(kFeedForward))
      .key("llama.attention.head_count", std::uint32_t{16});
  Random random(1);
  const auto add = [&](const std::string& name, const Shape& shape) {
    std::vector<float> row(shape.values());
    for (float& x : row) x = random.normal() * 0.02F;
    std::string data(stored_bytes(DType::bf16, shape.values()), '\0');
    const EncodeInput input{row.data(), 1, shape.values(), nullptr, nullptr};
    find_quantizer(DType::bf16)->encode(input, reinterpret_cast<std::byte*>(data.data()));
    builder.tensor(name, DType::bf16, shape, std::move(data));
  };
  add("token_embd.weight", {kVocabulary, kWidth});
  for (std::uint32_t l = 0; l < layers; ++l) {
    const std::string block = "blk." + std::to_string(l) + ".";
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
      add(block + name + ".weight", {kWidth, kWidth});
    add(block + "ffn_gate.weight", {kFeedForward, kWidth});
    add(block + "ffn_up.weight", {kFeedForward, kWidth});
    add(block + "ffn_down.weight", {kWidth, kFeedForward});
  }
  std::ofstream(path, std::ios::binary) << builder.build().bytes;
}

template <class Work>
void keep_minimum(double& best, Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  best = std::min(best, time.count());
}

unsigned number(std::string_view text) {
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int measure_program(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "program_bench FOLDER [MILLION_WEIGHTS [PRESET [THREADS [ROUNDS]]]]\n");
    return 64;
  }
  const std::string folder = argv[1];
  const std::uint64_t weights = std::uint64_t{argc > 2 ? number(argv[2]) : 200} * 1000000;
  const std::string preset = argc > 3 ? argv[3] : "q4_k_m";
  const unsigned threads = argc > 4 ? number(argv[4]) : 0;
  const unsigned rounds = argc > 5 ? number(argv[5]) : 3;
  const std::string input = folder + "/program_bench.gguf", copy = folder + "/copy.gguf",
                    ours = folder + "/ours.gguf", theirs = folder + "/theirs.gguf";
  write_model(input, weights);

  constexpr double kNever = std::numeric_limits<double>::infinity();
  double best_copy = kNever, best_ours = kNever, best_theirs = kNever;
  Recipe recipe;
  recipe.target = find_target(preset);
  for (unsigned round = 0; round < rounds; ++round) {
    for (const std::string& path : {copy, ours, theirs}) fs::remove(path);
    keep_minimum(best_copy, [&] {
      const std::string command =
          "cp --reflink=never --sparse=never '" + input + "' '" + copy + "'";
      if (std::system(command.c_str()) != 0) std::exit(74);
    });
    keep_minimum(best_ours, [&] {
      Warnings warnings;
      const Model model = open_model(input, {}, warnings);
      const Plan plan = make_plan(model, recipe, warnings);
      const auto sink = make_file_sink(ours, {}, warnings);
      const Output output{&plan, sink.get()};
      RunOptions options;
      options.threads = threads;
      run(model, {&output, 1}, options, warnings);
    });
    keep_minimum(best_theirs, [&] {
      Oracle::QuantizeOptions options;
      options.file_type = recipe.target.preset->file_type;
      options.threads = static_cast<std::int32_t>(threads);
      if (Oracle::instance().quantize_file(input, theirs, options) != 0) std::exit(70);
    });
  }
  const auto size = static_cast<double>(fs::file_size(input));
  for (const auto& [name, time] :
       {std::pair("cp", best_copy), std::pair("ours, sync included", best_ours),
        std::pair("llama.cpp", best_theirs)}) {
    std::printf("%-20s %8.3f s %8.1f MB/s of input\n", name, time, size / time / 1e6);
  }
  for (const std::string& path : {input, copy, ours, theirs}) fs::remove(path);
  return 0;
}

}  // namespace
}  // namespace quantize::test

int main(int argc, char** argv) { return quantize::test::measure_program(argc, argv); }
