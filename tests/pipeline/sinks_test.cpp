// Files appear complete or not at all, with the right mode, and never over something else.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quantize/quantize.hpp"

#include "support/gguf_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize::test {
namespace {

namespace fs = std::filesystem;

class FileSinks : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::GgufBuilder builder;
    builder.key("general.architecture", std::string("llama"))
        .key("llama.block_count", std::uint32_t{1})
        .tensor("token_embd.weight", DType::f16, {64, 256})
        .tensor("blk.0.attn_q.weight", DType::f16, {256, 256})
        .tensor("output_norm.weight", DType::f32, {256});
    input_ = folder_.write("input.gguf", builder.build().bytes);
    model_ = open_model(input_, {}, warnings_);
    Recipe recipe;
    recipe.target = find_target("q4_k_m");
    plan_ = make_plan(model_, recipe, warnings_);
    output_ = folder_.path_of("output.gguf");
  }

  SinkOptions options(IfExists if_exists = IfExists::fail) const {
    SinkOptions options;
    options.if_exists = if_exists;
    options.verify = true;
    options.inputs.assign(model_.source->files().begin(), model_.source->files().end());
    return options;
  }
  // The code of the failure, or {}.
  ErrorCode write(const std::string& path, IfExists if_exists = IfExists::fail) {
    try {
      const auto sink = make_file_sink(path, options(if_exists), warnings_);
      const Output output{&plan_, sink.get()};
      run(model_, {&output, 1}, {}, warnings_);
    } catch (const Error& e) {
      return e.code();
    }
    return {};
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }
  static unsigned mode(const std::string& path) {
    struct stat status = {};
    EXPECT_EQ(lstat(path.c_str(), &status), 0);
    return status.st_mode & 0777U;
  }
  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  testing::TemporaryDirectory folder_;
  Warnings warnings_;
  std::string input_, output_;
  Model model_;
  Plan plan_;
};

TEST_F(FileSinks, WritesWhatWasPlannedAndOurReaderTakesIt) {
  ASSERT_EQ(write(output_), ErrorCode{});
  EXPECT_EQ(fs::file_size(output_), plan_.files[0].bytes());
  EXPECT_EQ(entries(), 2U);
  EXPECT_TRUE(output_matches(output_, plan_));
  const auto source = open_source(output_, {}, warnings_);
  EXPECT_EQ(source->tensors().size(), 3U);
}

TEST_F(FileSinks, RefusesWhatStandsInTheWay) {
  const std::string kept = folder_.write("kept.gguf", "kept");
  const std::string link = folder_.path_of("link.gguf");
  fs::create_symlink("nowhere", link);
  fs::create_directory(folder_.path_of("folder"));
  EXPECT_EQ(write(kept), ErrorCode::OUT02);
  EXPECT_EQ(content(kept), "kept");
  EXPECT_EQ(write(link), ErrorCode::OUT04);
  EXPECT_EQ(write(folder_.path_of("folder"), IfExists::replace), ErrorCode::OUT04);
  EXPECT_EQ(write(folder_.path_of("missing/x.gguf")), ErrorCode::OUT01);
  EXPECT_EQ(write(kept + "/x.gguf"), ErrorCode::OUT01);
  EXPECT_EQ(write(folder_.path_of(std::string(256, 'x'))), ErrorCode::OUT14);
  EXPECT_EQ(write(folder_.path_of(std::string(255, 'x'))), ErrorCode{});
}

TEST_F(FileSinks, NeverWritesOverAnInput) {
  const std::string before = content(input_);
  const std::string soft = folder_.path_of("soft.gguf"), hard = folder_.path_of("hard.gguf");
  fs::create_symlink(input_, soft);
  fs::create_hard_link(input_, hard);
  for (const std::string& path : {input_, soft, hard})
    EXPECT_EQ(write(path, IfExists::replace), ErrorCode::OUT03) << path;
  EXPECT_TRUE(content(input_) == before);
  EXPECT_EQ(entries(), 3U);
}

TEST_F(FileSinks, ReplacingKeepsPermissionsAndReplacesLinksThemselves) {
  const std::string old = folder_.write("old.gguf", "old");
  fs::permissions(old, static_cast<fs::perms>(0640));
  const std::string link = folder_.path_of("link.gguf");
  fs::create_symlink(folder_.write("target", "target"), link);
  EXPECT_EQ(write(old, IfExists::replace), ErrorCode{});
  EXPECT_EQ(mode(old), 0640U);
  EXPECT_EQ(write(link, IfExists::replace), ErrorCode{});
  EXPECT_FALSE(fs::is_symlink(link));
  EXPECT_EQ(content(folder_.path_of("target")), "target");
  EXPECT_TRUE(content(old) == content(link));
  EXPECT_EQ(entries(), 4U);
}

TEST_F(FileSinks, AbandonedFilesLeaveNothing) {
  for (const IfExists if_exists : {IfExists::fail, IfExists::replace}) {
    {
      const auto sink = make_file_sink(output_, options(if_exists), warnings_);
      sink->begin(plan_);
      EXPECT_FALSE(fs::exists(output_));
    }
    EXPECT_EQ(entries(), 1U);
  }
}

TEST_F(FileSinks, ATargetThatAppearsMeanwhileIsKept) {
  const auto sink = make_file_sink(output_, options(), warnings_);
  const Output output{&plan_, sink.get()};
  RunOptions run_options;
  run_options.before_publish = [&](std::span<const Report>) {
    folder_.write("output.gguf", "other");
  };
  EXPECT_THROW(run(model_, {&output, 1}, run_options, warnings_), Error);
  EXPECT_EQ(content(output_), "other");
}

TEST_F(FileSinks, SourceChangedDuringTheRunIsAnError) {
  const auto sink = make_file_sink(output_, options(), warnings_);
  const Output output{&plan_, sink.get()};
  std::ofstream(input_, std::ios::binary | std::ios::app) << "more";
  try {
    run(model_, {&output, 1}, {}, warnings_);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::IO05);
  }
  EXPECT_FALSE(fs::exists(output_));
}

TEST_F(FileSinks, StaleTemporariesAreRemovedYoungOnesKept) {
  const std::string stale = folder_.write(".output.gguf.0123456789abcdef.quantize-tmp", "x");
  const std::string young = folder_.write(".output.gguf.fedcba9876543210.quantize-tmp", "x");
  fs::last_write_time(stale, fs::file_time_type::clock::now() - std::chrono::minutes(11));
  EXPECT_EQ(write(output_, IfExists::replace), ErrorCode{});
  EXPECT_FALSE(fs::exists(stale));
  EXPECT_TRUE(fs::exists(young));
}

TEST_F(FileSinks, StreamsGetTheBytesOfTheFile) {
  ASSERT_EQ(write(output_), ErrorCode{});
  const std::string pipe = folder_.path_of("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string received;
  std::thread reader([&] { received = content(pipe); });
  EXPECT_EQ(write(pipe), ErrorCode{});
  reader.join();
  EXPECT_TRUE(received == content(output_));
  EXPECT_EQ(write("/dev/null"), ErrorCode{});
  EXPECT_EQ(write("/dev/full"), ErrorCode::OUT08);
}

}  // namespace
}  // namespace quantize::test
