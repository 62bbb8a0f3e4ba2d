// Which pre-tokenizer a tokenizer.json has, found as the reference finds it: encode one fixed
// string, hash the ids, look the digest up. Patterns from the file are only compared, never run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "convert/tokenizer/files.hpp"
#include "convert/tokenizer/hf_vocabulary.hpp"

namespace quantize {

// The text whose ids tell tokenizers apart.
extern const std::u32string_view kCheckString;

// The ids of the check string, special tokens included. TK06 if the file's shape is not known.
std::vector<std::uint32_t> encode_check_string(const TokenizerFiles& files,
                                               const HfVocabulary& vocabulary);

// The same of other texts of the check string's characters, without ids around them.
std::vector<std::vector<std::uint32_t>> encode_texts(const TokenizerFiles& files,
                                                     const HfVocabulary& vocabulary,
                                                     const std::vector<std::u32string>& texts);

// The name for tokenizer.ggml.pre. A digest that no row has: the class of the file's shape, with a
// warning. TK06 (naming --pre) for an unknown shape.
std::string pre_tokenizer_name(const TokenizerFiles& files, const HfVocabulary& vocabulary);

// The same name back if a runtime knows it; USE04 (with what is close) otherwise.
std::string checked_pre_tokenizer(const std::string& name);

// The name that --pre gives, as checked_pre_tokenizer() has it. A warning if the digest is
// another's.
std::string given_pre_tokenizer(const TokenizerFiles& files, const HfVocabulary& vocabulary,
                                const std::string& name);

// Every merge has two parts that exist, and so does their union; TK03 otherwise.
void check_merges(const TokenizerFiles& files, const HfVocabulary& vocabulary);

}  // namespace quantize
