#include "pipeline/jobs.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "convert/value.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kTileValues = std::uint64_t{1} << 14;  // a multiple of every block
constexpr std::uint64_t kFloatTiles = 4;  // source, rounded, freed of what is not finite, decoded
constexpr std::uint64_t kFormatScratch = 4;  // codes, scales and zero points on their way
constexpr std::uint64_t kSmallBuffers = std::uint64_t{64} << 10;

void cut(Job& job) {
  const Shape& shape = job.tensor->shape;
  const std::uint64_t row = shape.row_values();
  if (shape.values() == 0) return;
  const std::uint64_t unit = job.row_unit();
  if (row <= kSlabValues || unit != 0) {
    std::uint64_t rows = std::max<std::uint64_t>(1, kSlabValues / row);
    if (unit != 0) rows = std::max(unit, rows / unit * unit);
    job.slab_values = rows * row;
    job.slabs = (shape.rows() + rows - 1) / rows;
  } else {
    job.slab_values = kSlabValues;
    job.slabs_per_row = (row + kSlabValues - 1) / kSlabValues;
    job.slabs = job.slabs_per_row * shape.rows();
  }
}

}  // namespace

Slab Job::slab(std::uint64_t index) const {
  const Shape& shape = tensor->shape;
  if (slabs_per_row == 0) {
    const std::uint64_t first = index * slab_values;
    return {first, std::min(slab_values, shape.values() - first)};
  }
  const std::uint64_t row = shape.row_values();
  const std::uint64_t column = index % slabs_per_row * slab_values;
  return {index / slabs_per_row * row + column, std::min(slab_values, row - column)};
}

std::uint64_t Job::row_unit() const {
  std::uint64_t unit = 0;
  for (const Destination& destination : destinations) {
    if (!destination.planned->format) continue;
    unit = std::lcm(std::max<std::uint64_t>(unit, 1),
                    destination.planned->format->row_unit(matrix().size));
  }
  return unit;
}

Matrix Job::matrix() const {
  const Shape& shape = tensor->shape;
  return {{shape.rows(), shape.row_values()}, tensor->stored_type};
}

bool Job::copies(const Destination& destination) const {
  const DType stored = tensor->value->type;
  return !destination.planned->format && destination.planned->type == stored &&
         (tensor->stored_type == stored || destination.planned->exact);
}

std::uint64_t Job::tile_values() const {
  if (slabs_per_row != 0) return kTileValues;
  const std::uint64_t row = std::max<std::uint64_t>(1, tensor->shape.row_values());
  if (const std::uint64_t unit = row_unit(); unit != 0) {
    for (const Destination& destination : destinations) {
      for (const WeightPart& part : destination.parts)
        if (part.lines > 1) return slab_values;  // the longer the runs, the fewer writes
    }
    return std::max<std::uint64_t>(1, kTileValues / row / unit) * unit * row;
  }
  return std::max<std::uint64_t>(1, kTileValues / row) * row;
}

std::uint64_t Job::worker_bytes(const Source& source) const {
  const std::uint64_t values = std::min(slab_values, tensor->shape.values());
  const auto bytes = [&](DType type) {
    return values / info(type).block_values * info(type).block_bytes;
  };
  const ValueNode& value = *tensor->value;
  std::uint64_t total = bytes(value.type) + fetch_scratch_bytes(value, source, values) +
                        kFloatTiles * std::min(values, tile_values()) * sizeof(float) +
                        kSmallBuffers;
  for (const Destination& destination : destinations)
    if (!copies(destination)) total += bytes(destination.planned->type);
  for (const Destination& destination : destinations) {
    if (destination.parts.empty()) continue;
    for (const WeightPart& part : destination.parts)
      if (part.entry_values != 0) total += part.lines * entry_bytes(part, values);
    total += kFormatScratch * std::min(values, tile_values());
  }
  return total;
}

std::vector<Job> make_jobs(const Model& model, std::span<const Output> outputs) {
  std::vector<std::vector<Destination>> wanted(model.tensors.size());
  std::vector<std::size_t> order;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const Plan& plan = *outputs[o].plan;
    for (std::size_t f = 0; f < plan.files.size(); ++f) {
      for (std::size_t t = 0; t < plan.files[f].tensors.size(); ++t) {
        const PlannedTensor& planned = plan.files[f].tensors[t];
        if (wanted[planned.model_tensor].empty()) order.push_back(planned.model_tensor);
        wanted[planned.model_tensor].push_back({o, f, t, &planned, plan.reference_quirks, {}});
      }
    }
  }
  const bool in_order = std::any_of(outputs.begin(), outputs.end(),
                                    [](const Output& o) { return o.sink->sequential(); });
  if (!in_order) {
    const auto place = [&](std::size_t t) {
      const auto& sources = model.tensors[t].source_tensors;
      if (sources.empty()) return std::pair<std::uint64_t, std::uint64_t>(0, 0);
      const SourceTensor& source = model.source->tensors()[sources.front()];
      return std::pair<std::uint64_t, std::uint64_t>(source.file, source.data_offset);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  }
  std::vector<Job> jobs;
  std::uint64_t next = 0;
  for (const std::size_t index : order) {
    Job job{&model.tensors[index], std::move(wanted[index])};
    for (Destination& destination : job.destinations) {
      const PlannedTensor& planned = *destination.planned;
      if (planned.format) destination.parts = planned.format->parts(job.matrix());
    }
    cut(job);
    job.first_slab = next;
    next += job.slabs;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace quantize
