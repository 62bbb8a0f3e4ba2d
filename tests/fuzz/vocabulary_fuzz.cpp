// F5, F6: any bytes as a tokenizer's files. The first byte picks which file; what follows a record
// separator (0x1E) is tokenizer_config.json. What is accepted has a type for every token.
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

#include "../support/temporary_directory.hpp"
#include "convert/vocabulary.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct Kind {
  const char* file;
  quantize::VocabularyRoute route;
};
constexpr Kind kKinds[] = {
    {"tokenizer.json", quantize::VocabularyRoute::byte_level_bpe},
    {"tokenizer.json", quantize::VocabularyRoute::llama_hf},
    {"tokenizer.json", quantize::VocabularyRoute::wordpiece},
    {"tokenizer.json", quantize::VocabularyRoute::unigram_xlm_roberta},
    {"tokenizer.model", quantize::VocabularyRoute::sentencepiece},
    {"tokenizer.model", quantize::VocabularyRoute::unigram},
    {"sentencepiece.bpe.model", quantize::VocabularyRoute::unigram_xlm_roberta},
    {"tekken.json", quantize::VocabularyRoute::tekken},
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quantize;
  if (size == 0) return 0;
  const Kind& kind = kKinds[data[0] % std::size(kKinds)];
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = rest.find('\x1E');
  const testing::TemporaryDirectory directory;
  directory.write(kind.file, rest.substr(0, cut));
  if (cut != rest.npos) directory.write("tokenizer_config.json", rest.substr(cut + 1));
  static const auto config = JsonDocument::parse(R"({"vocab_size": 600, "bos_token_id": 1})",
                                                 "config.json", JsonRules{}, nullptr);
  Metadata metadata;
  Warnings warnings;
  try {
    const Directory opened(directory.path(), true);
    append_vocabulary({opened, config->root(), {kind.route}, 0, {}}, metadata, warnings);
  } catch (const Error&) {
    return 0;
  }
  const auto* tokens = metadata.get<MetaArray>("tokenizer.ggml.tokens");
  const auto* types = metadata.get<MetaArray>("tokenizer.ggml.token_type");
  require(tokens != nullptr && types != nullptr && element_count(*tokens) == element_count(*types));
  require(metadata.get<std::string>("tokenizer.ggml.pre") != nullptr);
  return 0;
}
