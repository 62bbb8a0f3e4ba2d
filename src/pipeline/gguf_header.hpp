// The header bytes of a planned file.
#pragma once

#include <cstddef>
#include <vector>

#include "quantize/plan.hpp"

namespace quantize {

std::vector<std::byte> planned_header(const PlannedFile& file);

// "model.gguf", 1 of 3 -> "model-00002-of-00003.gguf" for piece 1; the path itself for one piece.
// Of a checkpoint: the file in the directory `path`.
std::string piece_path(const std::string& path, const PlannedFile& file);

}  // namespace quantize
