#include "core/input_file.hpp"

#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using testing::TemporaryDirectory;

template <class Action>
ErrorCode code_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was refused";
  return ErrorCode::BUG01;
}

TEST(InputFile, ReadsAnyRange) {
  const TemporaryDirectory folder;
  const InputFile file(folder.write("a", "0123456789"));
  EXPECT_EQ(file.size(), 10u);
  EXPECT_EQ(file.read_text(0, 10), "0123456789");
  EXPECT_EQ(file.read_text(3, 4), "3456");
  EXPECT_EQ(file.read_text(10, 0), "");
  EXPECT_EQ(code_of([&] { file.read_text(3, 8); }), ErrorCode::BUG01);
  EXPECT_EQ(code_of([&] { file.read_text(~std::uint64_t{0}, 2); }), ErrorCode::BUG01);
  file.prefetch(0, 10);
  file.check_unchanged();
}

TEST(InputFile, RefusesWhatIsNoRegularFileWithoutWaiting) {
  const TemporaryDirectory folder;
  ASSERT_EQ(::mkfifo(folder.path_of("fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop", folder.path_of("loop"));
  std::filesystem::create_symlink(folder.write("a", "x"), folder.path_of("link"));
  const auto open = [&](const std::string& path, bool follow = true) {
    return code_of([&] { const InputFile file(path, follow); });
  };
  EXPECT_EQ(open(folder.path_of("absent")), ErrorCode::IO01);
  EXPECT_EQ(open(folder.path_of("loop")), ErrorCode::IO01);
  EXPECT_EQ(open(folder.path_of("a") + '\0' + "b"), ErrorCode::IO01);
  EXPECT_EQ(open(folder.path_of("a/b")), ErrorCode::IO01);
  EXPECT_EQ(open(folder.path()), ErrorCode::IO03);
  EXPECT_EQ(open(folder.path_of("fifo")), ErrorCode::IO04);
  EXPECT_EQ(open("/dev/null"), ErrorCode::IO04);
  EXPECT_EQ(open(folder.path_of("link"), false), ErrorCode::IO04);
  EXPECT_EQ(InputFile(folder.path_of("link")).size(), 1u);
  if (::geteuid() != 0) {
    ::chmod(folder.path_of("a").c_str(), 0);
    EXPECT_EQ(open(folder.path_of("a")), ErrorCode::IO07);
  }
}

TEST(InputFile, NoticesThatTheFileChanged) {
  const TemporaryDirectory folder;
  const std::string path = folder.write("a", "0123456789");
  const InputFile file(path);
  std::filesystem::resize_file(path, 4);
  EXPECT_EQ(code_of([&] { file.read_text(2, 5); }), ErrorCode::IO05);
  EXPECT_EQ(code_of([&] { file.check_unchanged(); }), ErrorCode::IO05);

  const InputFile again(path);
  const auto later = std::filesystem::last_write_time(path) + std::chrono::seconds(2);
  std::filesystem::last_write_time(path, later);
  EXPECT_EQ(code_of([&] { again.check_unchanged(); }), ErrorCode::IO05);
}

TEST(Directory, ListsAndReadsItsMembers) {
  const TemporaryDirectory folder;
  folder.write("b", "two");
  folder.write("a", "one");
  std::filesystem::create_directory(folder.path_of("sub"));
  const Directory directory(folder.path(), true);
  EXPECT_EQ(directory.names(), (std::vector<std::string>{"a", "b", "sub"}));
  EXPECT_EQ(directory.read("b", 3), "two");
  EXPECT_EQ(directory.read("c", 3), std::nullopt);
  EXPECT_TRUE(directory.contains("sub"));
  EXPECT_FALSE(directory.contains(""));
  EXPECT_EQ(directory.path_of("a"), folder.path() + "/a");
  EXPECT_EQ(code_of([&] { directory.read("a", 2); }), ErrorCode::JS06);
  EXPECT_EQ(code_of([&] { directory.read("sub", 2); }), ErrorCode::IO03);
  EXPECT_EQ(code_of([&] { Directory(folder.path_of("none"), true); }), ErrorCode::IO01);
  EXPECT_EQ(code_of([&] { Directory(folder.path_of("a"), true); }), ErrorCode::IO01);
}

}  // namespace
}  // namespace quantize
