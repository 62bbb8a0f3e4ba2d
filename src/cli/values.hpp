// Values on the command line: text to numbers, sizes, types, with the usage error each fault gets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quantize/dtype.hpp"
#include "quantize/metadata.hpp"
#include "quantize/model.hpp"
#include "quantize/plan.hpp"

namespace quantize::cli {

// Digits only, within [low, high]. USE03 otherwise.
std::uint64_t parse_count(std::string_view option, std::string_view text, std::uint64_t low,
                          std::uint64_t high);
// "45G", "512Mi", "1000": K, M, G, T are powers of 1000, Ki, Mi, Gi, Ti of 1024.
std::uint64_t parse_size(std::string_view option, std::string_view text);
DType parse_type(std::string_view option, std::string_view text);  // USE04
std::vector<std::string> split_list(std::string_view text);        // at commas
// "PATTERN=TYPE", cut at the last equals sign. USE04.
TensorTypeRule parse_rule(std::string_view option, std::string_view text);
// "DIR" or "DIR:SCALE": what follows the last colon is a scale if it is a number. USE06 for an
// empty path.
AdapterOption parse_adapter(std::string_view option, std::string_view text);
// "KEY=TYPE:VALUE" with TYPE int, float, bool or str, stored as llama-quantize stores them.
std::pair<std::string, MetaValue> parse_override(std::string_view text);
// The rules of a recipe file, at most 1 MiB; a '?' at the end of one allows that nothing matches.
// IO01, IO02, USE04.
std::vector<TensorTypeRule> read_rules(const std::string& path);

}  // namespace quantize::cli
