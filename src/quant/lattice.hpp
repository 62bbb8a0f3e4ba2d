// Blocks that hold values exactly, for values that lie on a type's grid already: those of a
// quantized checkpoint, or weights trained on a grid. An ordinary encoder looks for the least
// error and may miss the one scale that has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quantize/dtype.hpp"

namespace quantize {

// The types whose grids are tried, fewest bits first.
std::span<const DType> lattice_types() noexcept;

// Blocks of one of these types that decode to exactly `values` once rounded to `rounding` (f32,
// bf16 or f16, the type in which the values are stored). False if some block has no such scale;
// the blocks written are then of no use. `count` is whole blocks.
bool encode_exactly(DType type, DType rounding, const float* values, std::uint64_t count,
                    std::byte* blocks);

}  // namespace quantize
