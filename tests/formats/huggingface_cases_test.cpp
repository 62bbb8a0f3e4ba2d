// The table of weight indexes and directories, as far as opening the weights decides it.
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/huggingface/weight_index.hpp"
#include "formats/readers.hpp"
#include "support/safetensors_builder.hpp"
#include "support/temporary_directory.hpp"

namespace quantize {
namespace {

using testing::json_string;
using testing::SafetensorsBuilder;
using testing::TemporaryDirectory;

const std::string kFirst = "model-00001-of-00002.safetensors";
const std::string kSecond = "model-00002-of-00002.safetensors";
const std::string kIndex = "model.safetensors.index.json";

std::string shard(const std::vector<std::string>& names) {
  SafetensorsBuilder builder;
  for (const std::string& name : names) builder.tensor(name, "F32", {1}, "1234");
  return builder.build();
}

std::string index_of(const std::vector<std::pair<std::string, std::string>>& map,
                     std::uint64_t total = 12) {
  std::string text =
      "{\"metadata\":{\"total_size\":" + std::to_string(total) + "},\"weight_map\":{";
  for (std::size_t i = 0; i < map.size(); ++i) {
    text += (i > 0 ? "," : "") + json_string(map[i].first) + ':' + json_string(map[i].second);
  }
  return text + "}}";
}

// Two shards with an index.
class ModelDirectory : public TemporaryDirectory {
 public:
  ModelDirectory() {
    write(kFirst, shard({"c", "a"}));
    write(kSecond, shard({"b"}));
    write(kIndex, index_of({{"a", kFirst}, {"b", kSecond}, {"c", kFirst}}));
  }
  // The second shard under another name, by the index.
  void rename_second(const std::string& name) const {
    write(kIndex, index_of({{"a", kFirst}, {"b", name}, {"c", kFirst}}));
  }
  void remove(const std::string& name) const { std::filesystem::remove(path_of(name)); }
};

std::shared_ptr<const Source> open(const TemporaryDirectory& folder, Warnings& warnings,
                                   const std::string& only = {}, bool follow = true) {
  return open_directory_weights(std::make_shared<Directory>(folder.path(), follow), only, warnings);
}

struct Case {
  std::string id;
  std::function<void(const ModelDirectory&)> change;
  std::optional<ErrorCode> code;
  int exit = 0;
  std::string file = {};    // that is blamed, in the directory
  std::string needle = {};  // offset: of the last place of these bytes in it
  std::optional<ErrorCode> warning = {};
  bool follow = true;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.id; }

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class HuggingFaceCases : public ::testing::TestWithParam<Case> {};

TEST_P(HuggingFaceCases, EndAsTheTableSays) {
  const Case& row = GetParam();
  const ModelDirectory folder;
  row.change(folder);
  Warnings warnings;
  try {
    open(folder, warnings, {}, row.follow);
    EXPECT_FALSE(row.code) << "was accepted";
  } catch (const Error& error) {
    ASSERT_TRUE(row.code) << error.what();
    EXPECT_EQ(code_name(error.code()), code_name(*row.code)) << error.what();
    EXPECT_EQ(exit_status(error.code()), row.exit);
    if (!row.file.empty()) {
      EXPECT_EQ(error.problem().file, folder.path_of(row.file));
    }
    if (!row.needle.empty()) {
      EXPECT_EQ(error.problem().offset, text_of(folder.path_of(row.file)).rfind(row.needle));
    }
  }
  const auto entries = warnings.entries();
  if (row.warning) {
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(code_name(entries[0].first.code), code_name(*row.warning));
  } else if (!row.code) {
    EXPECT_TRUE(entries.empty()) << entries[0].first.text;
  }
}

std::vector<Case> all_cases() {
  using enum ErrorCode;
  using Folder = const ModelDirectory&;
  namespace fs = std::filesystem;
  std::vector<Case> cases = {
      {"case_ix_001", [](Folder f) { f.remove(kFirst), f.remove(kSecond), f.remove(kIndex); }, IX09,
       66},
      {"case_ix_002", [](Folder f) { f.write(kIndex, "[]"); }, IX01, 65, kIndex, "["},
      {"case_ix_003", [](Folder f) { f.write(kIndex, "{}"); }, IX01, 65, kIndex, "{"},
      {"case_ix_004", [](Folder f) { f.write(kIndex, "{\"weight_map\":[]}"); }, IX01, 65, kIndex,
       "["},
      {"case_ix_005", [](Folder f) { f.write(kIndex, "{\"weight_map\":{\"a\":7}}"); }, IX01, 65,
       kIndex, "7"},
      {"case_ix_006", [](Folder f) { f.remove(kSecond); }, IX03, 66, kIndex, "\"" + kSecond},
      {"case_ix_007", [](Folder f) { f.write(kSecond, shard({})); }, IX04, 65, kIndex,
       "\"" + kSecond},
      {"case_ix_007_other_shard",
       [](Folder f) {
         f.write(kFirst, shard({"a", "b", "c"})), f.write(kSecond, shard({}));
       },
       IX04, 65, kIndex, "\"" + kSecond},
      {"case_ix_008",
       [](Folder f) {
         f.write(kSecond, shard({"b", "d"}));
       },
       IX04, 65, kSecond, "\"d\""},
      {"case_ix_009",
       [](Folder f) {
         f.write(kSecond, shard({"b", "a"}));
       },
       IX05, 65, kSecond, "\"a\""},
      {"case_ix_025",
       [](Folder f) {
         fs::create_directory(f.path_of("blobs"));
         for (const std::string& name : {kFirst, kSecond}) {
           fs::rename(f.path_of(name), f.path_of("blobs/" + name));
           fs::create_symlink("blobs/" + name, f.path_of(name));
         }
       },
       {},
       0},
      {"case_ix_026",
       [](Folder f) { f.remove(kSecond), fs::create_symlink(kSecond, f.path_of(kSecond)); }, IO01,
       66, kSecond},
      {"case_ix_027", [](Folder f) { f.remove(kSecond), fs::create_directory(f.path_of(kSecond)); },
       IO03, 66, kSecond},
      {"case_ix_028",
       [](Folder f) { f.remove(kSecond), ::mkfifo(f.path_of(kSecond).c_str(), 0600); }, IO04, 66,
       kSecond},
      {"case_ix_030",
       [](Folder f) {
         f.remove(kFirst), f.remove(kSecond), f.remove(kIndex);
         f.write("pytorch_model.bin", "PK\x03\x04");
       },
       IX08, 65, "pytorch_model.bin"},
      {"case_ix_031", [](Folder f) { f.rename_second("pytorch_model.bin"); }, IX08, 65, kIndex,
       "\"pytorch_model.bin"},
      {"case_ix_033",
       [](Folder f) { f.write("model.safetensors", shard({"x"})); },
       {},
       0,
       {},
       {},
       IX06},
      {"case_ix_034",
       [](Folder f) {
         f.write(kIndex, index_of({{"a", kFirst}, {"b", kSecond}, {"c", kFirst}}, 13));
       },
       {},
       0,
       {},
       {},
       IX01},
      {"case_ix_038",
       [](Folder f) {
         fs::rename(f.path_of(kSecond), f.path_of("blob"));
         fs::create_symlink("blob", f.path_of(kSecond));
       },
       IO04,
       66,
       kSecond,
       {},
       {},
       false},
      {"index_too_large", [](Folder f) { f.write(kIndex, "{}", huggingface::kMaxIndexBytes + 1); },
       JS06, 65, kIndex},
      {"index_truncated", [](Folder f) { f.write(kIndex, "{\"weight_map\""); }, JS01, 65, kIndex},
      {"duplicate_in_index",
       [](Folder f) {
         f.write(kIndex, "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":" + json_string(kFirst) +
                             ",\"b\":" + json_string(kSecond) + ",\"c\":" + json_string(kFirst) +
                             "}}");
       },
       {},
       0,
       {},
       {},
       JS04},
      {"without_index", [](Folder f) { f.remove(kIndex); }, {}, 0},
      {"two_without_index",
       [](Folder f) {
         f.remove(kIndex);
         fs::rename(f.path_of(kFirst), f.path_of("x.safetensors"));
         fs::rename(f.path_of(kSecond), f.path_of("y.safetensors"));
       },
       IX06, 65},
  };
  const std::pair<const char*, const char*> devices[] = {
      {"null", "/dev/null"}, {"zero", "/dev/zero"}, {"full", "/dev/full"}};
  for (const auto& [name, target] : devices) {
    cases.push_back({std::string("case_ix_029_") + name,
                     [path = target](Folder f) {
                       f.remove(kSecond);
                       fs::create_symlink(path, f.path_of(kSecond));
                     },
                     IO04, 66, kSecond});
  }
  for (const auto& [id, bytes] : {std::pair<const char*, std::string>{
                                      "pickle", std::string("\x80\x02}q") + std::string(60, 'x')},
                                  {"zip", "PK\x03\x04" + std::string(60, 'x')}}) {
    cases.push_back({std::string("case_ix_032_") + id,
                     [bytes = bytes](Folder f) {
                       f.remove(kFirst), f.remove(kSecond), f.remove(kIndex);
                       f.write("model.safetensors", bytes);
                     },
                     IX08, 65, "model.safetensors"});
  }
  const std::pair<const char*, std::string> bad_names[] = {
      {"010", "../secret.safetensors"},
      {"011", "/tmp/secret.safetensors"},
      {"012", "a/../../secret.safetensors"},
      {"013", "sub/x.safetensors"},
      {"014", ".."},
      {"015", ""},
      {"016", "."},
      {"017", std::string("x.safetensors\0y", 15)},
      {"018a", "..\\secret.safetensors"},
      {"018b", "C:x.safetensors"},
      {"019a", "x\n.safetensors"},
      {"019b", "x\x1B[2J.safetensors"},
      {"020a", "\xEF\xBC\x8E\xEF\xBC\x8E\xEF\xBC\x8Fx.safetensors"},
      {"020b", "e\xCC\x81.safetensors"},
      {"021", std::string(288, 'x') + ".safetensors"},
      {"022", "config.json"},
      {"023", ".hidden.safetensors"},
      {"024a", "-x.safetensors"},
      {"024b", "~x.safetensors"},
      {"024c", "$HOME.safetensors"},
      {"024d", "a..b.safetensors"},
  };
  for (const auto& [id, name] : bad_names) {
    cases.push_back({std::string("case_ix_") + id,
                     [name = name](Folder f) { f.rename_second(name); }, IX02, 65, kIndex,
                     json_string(name)});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Table, HuggingFaceCases, ::testing::ValuesIn(all_cases()),
                         [](const auto& row) { return row.param.id; });

TEST(HuggingFace, OrdersByFileThenByName) {
  const ModelDirectory folder;
  Warnings warnings;
  const auto source = open(folder, warnings);
  EXPECT_EQ(source->format(), "huggingface");
  EXPECT_EQ(source->path(), folder.path());
  std::string order;
  for (const SourceTensor& tensor : source->tensors()) order += tensor.name;
  EXPECT_EQ(order, "acb");
  ASSERT_EQ(source->files().size(), 2u);
  EXPECT_EQ(source->files()[1].path, folder.path_of(kSecond));
}

TEST(HuggingFace, ANamedFileIsItselfUnlessTheIndexListsIt) {
  const ModelDirectory folder;
  folder.write("other.safetensors", shard({"x"}));
  Warnings warnings;
  const auto other = open(folder, warnings, "other.safetensors");
  ASSERT_EQ(other->tensors().size(), 1u);
  EXPECT_EQ(other->tensors()[0].name, "x");
  EXPECT_TRUE(warnings.entries().empty());
  EXPECT_EQ(open(folder, warnings, kSecond)->tensors().size(), 3u);
}

TEST(HuggingFace, CaseIx035AMillionNamesInTheIndex) {
  const ModelDirectory folder;
  std::string text = "{\"weight_map\":{";
  for (int i = 0; i < 1'000'000; ++i)
    text += "\"tensor." + std::to_string(i) + "\":" + json_string("m.safetensors") + ',';
  text.back() = '}';
  folder.write(kIndex, text + '}');
  folder.write("m.safetensors", shard({"tensor.5"}));
  Warnings warnings;
  const auto start = std::chrono::steady_clock::now();
  try {
    open(folder, warnings);
    ADD_FAILURE() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), "IX04") << error.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(HuggingFace, CaseIx036TooManyFiles) {
  Warnings warnings;
  std::vector<std::pair<std::string, std::string>> map;
  for (int i = 0; i <= 10'000; ++i)
    map.emplace_back("t" + std::to_string(i), "m" + std::to_string(i) + ".safetensors");
  const std::string text = index_of(map);
  try {
    huggingface::parse_weight_index(text, "index", warnings);
    ADD_FAILURE() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), "IX07") << error.what();
    EXPECT_EQ(error.problem().offset, text.find("\"m10000.s"));
  }
}

// Root may read everything, so it becomes nobody for the moment.
TEST(HuggingFace, CaseIx037NoPermission) {
  const ModelDirectory folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms{0755});
  std::filesystem::permissions(folder.path_of(kSecond), std::filesystem::perms::none);
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  Warnings warnings;
  std::string code;
  try {
    open(folder, warnings);
  } catch (const Error& error) {
    code = code_name(error.code());
  }
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_EQ(code, "IO07");
}

TEST(DetectInput, GoesByContent) {
  const ModelDirectory folder;
  struct Row {
    const char* name;
    std::string bytes;
    InputKind kind;
    std::size_t warnings;
  };
  const Row rows[] = {
      {"a.gguf", "GGUF" + std::string(20, 'x'), InputKind::gguf, 0},
      {"a.safetensors", "GGUF" + std::string(20, 'x'), InputKind::gguf, 1},
      {"b.safetensors", shard({"a"}), InputKind::safetensors, 0},
      {"b.gguf", shard({"a"}), InputKind::safetensors, 1},
      {"c", shard({"a"}), InputKind::safetensors, 0},
      {"d.index.json", "{\"weight_map\":{}}", InputKind::weight_index, 0},
      {"e.gguf", "not a model", InputKind::gguf, 0},
      {"f", "", InputKind::safetensors, 0},
  };
  for (const Row& row : rows) {
    Warnings warnings;
    EXPECT_EQ(detect_input(folder.write(row.name, row.bytes), warnings), row.kind) << row.name;
    EXPECT_EQ(warnings.entries().size(), row.warnings) << row.name;
  }
  Warnings warnings;
  EXPECT_EQ(detect_input(folder.path(), warnings), InputKind::directory);
  EXPECT_THROW(detect_input(folder.path_of("absent"), warnings), Error);
}

}  // namespace
}  // namespace quantize
