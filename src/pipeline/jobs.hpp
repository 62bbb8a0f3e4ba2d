// What a run has to do, cut into slabs: runs of whole blocks that one worker reads, encodes for
// every output and writes by itself. Slabs depend on shapes alone, so that nothing depends on the
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quantize/pipeline.hpp"

#include "quant/checkpoint/weight_format.hpp"

namespace quantize {

inline constexpr std::uint64_t kSlabValues = std::uint64_t{1} << 19;  // a multiple of every block

// Where one output wants a model tensor.
struct Destination {
  std::size_t output, file, tensor;
  const PlannedTensor* planned;
  bool reference_quirks;
  std::vector<WeightPart> parts;  // of a weight that a checkpoint stores as several tensors
};

struct Slab {
  std::uint64_t first = 0, count = 0;  // values
};

// A model tensor, how it is cut, and where it goes.
struct Job {
  const ModelTensor* tensor;
  std::vector<Destination> destinations;
  std::uint64_t slab_values = 0;    // of all slabs of whole rows but the last; or the largest piece
  std::uint64_t slabs_per_row = 0;  // 0: slabs are whole rows
  std::uint64_t slabs = 0;
  std::uint64_t first_slab = 0;  // in the numbering over the whole run

  Slab slab(std::uint64_t index) const;
  // Rows that formats of checkpoints need together; 0 if there is none of those.
  std::uint64_t row_unit() const;
  Matrix matrix() const;  // precondition: row_unit() != 0
  // The destination's bytes are the fetched ones.
  bool copies(const Destination& destination) const;
  // Values that are decoded, encoded and measured at once: what the near caches hold, but whole
  // rows unless a slab is a piece of one.
  std::uint64_t tile_values() const;
  std::uint64_t worker_bytes(
      const Source& source) const;  // memory of one worker while it does this job
};

// In the order of the first output's files if an output is a stream, else in that of the source, so
// that it is read front to back.
std::vector<Job> make_jobs(const Model& model, std::span<const Output> outputs);

}  // namespace quantize
