// One work list over the whole run. Workers take slabs in order from one counter; each reads,
// decodes, encodes for every output, measures and writes its slab by itself, so that all four
// overlap on all cores. Slabs depend on shapes alone, and their statistics are folded in slab order
// afterwards: neither bytes nor figures know the number of threads.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

#include "quantize/escape.hpp"
#include "quantize/pipeline.hpp"
#include "quantize/quantizer.hpp"

#include "convert/value.hpp"
#include "core/float16.hpp"
#include "pipeline/locate.hpp"
#include "pipeline/measure.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kSlabValues = std::uint64_t{1} << 19;  // a multiple of every block length
constexpr std::uint64_t kDefaultMemory = std::uint64_t{160} << 20;
constexpr std::uint64_t kDefaultMemoryPerOutput = std::uint64_t{48} << 20;
constexpr std::uint64_t kMeasureValues =
    4096;  // decoded and compared at once, in the nearest cache
constexpr std::uint64_t kWorkerBytes = std::uint64_t{64} << 10;  // small buffers of a worker
constexpr auto kProgressPeriod = std::chrono::milliseconds(100);

// Where one output wants a model tensor.
struct Destination {
  std::size_t output, file, tensor;
  const PlannedTensor* planned;
};

// A model tensor, how it is cut, and where it goes.
struct Job {
  const ModelTensor* tensor;
  std::vector<Destination> destinations;
  std::uint64_t slab_values =
      0;  // of all slabs of whole rows but the last; or the largest piece of a row
  std::uint64_t slabs_per_row = 0;  // 0: slabs are whole rows
  std::uint64_t slabs = 0;
  std::uint64_t first_slab = 0;  // in the numbering over the whole run
};

// Values of a tensor that are not finite.
struct NonFiniteCount {
  std::uint64_t values = 0;
  std::uint64_t first = 0;  // index in the tensor
};

struct Slab {
  std::uint64_t first = 0, count = 0;  // values
};

void cut(Job& job) {
  const Shape& shape = job.tensor->shape;
  const std::uint64_t row = shape.row_values();
  if (shape.values() == 0) return;
  if (row <= kSlabValues) {
    const std::uint64_t rows = kSlabValues / row;
    job.slab_values = rows * row;
    job.slabs = (shape.rows() + rows - 1) / rows;
  } else {
    job.slab_values = kSlabValues;
    job.slabs_per_row = (row + kSlabValues - 1) / kSlabValues;
    job.slabs = job.slabs_per_row * shape.rows();
  }
}

Slab slab_of(const Job& job, std::uint64_t index) {
  const Shape& shape = job.tensor->shape;
  if (job.slabs_per_row == 0) {
    const std::uint64_t first = index * job.slab_values;
    return {first, std::min(job.slab_values, shape.values() - first)};
  }
  const std::uint64_t row = shape.row_values();
  const std::uint64_t column = index % job.slabs_per_row * job.slab_values;
  return {index / job.slabs_per_row * row + column, std::min(job.slab_values, row - column)};
}

std::uint64_t worker_bytes(const Job& job) {
  const std::uint64_t values =
      std::min(std::max<std::uint64_t>(job.slab_values, 1), job.tensor->shape.values());
  std::uint64_t largest_output = 0;
  for (const Destination& d : job.destinations) {
    const TypeInfo& type = info(d.planned->type);
    largest_output = std::max(largest_output, values / type.block_values * type.block_bytes);
  }
  const TypeInfo& stored = info(job.tensor->value->type);
  // Fetched elements, floats, rounded floats, one output's blocks.
  return values / stored.block_values * stored.block_bytes + 2 * values * sizeof(float) +
         largest_output + fetch_scratch_bytes(*job.tensor->value, values) + kWorkerBytes;
}

// The list of jobs, in the order of the first output's files (a stream needs that order; for the
// others any order will do, and this one reads the source about front to back).
std::vector<Job> make_jobs(const Model& model, std::span<const Output> outputs) {
  std::vector<std::vector<Destination>> wanted(model.tensors.size());
  std::vector<std::size_t> order;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const Plan& plan = *outputs[o].plan;
    for (std::size_t f = 0; f < plan.files.size(); ++f) {
      for (std::size_t t = 0; t < plan.files[f].tensors.size(); ++t) {
        const PlannedTensor& planned = plan.files[f].tensors[t];
        if (wanted[planned.model_tensor].empty()) order.push_back(planned.model_tensor);
        wanted[planned.model_tensor].push_back({o, f, t, &planned});
      }
    }
  }
  const bool in_order = std::any_of(outputs.begin(), outputs.end(),
                                    [](const Output& o) { return o.sink->sequential(); });
  if (!in_order) {
    // Large tensors first among equals would be faster at the end; by place in the source is faster
    // on disks, and slabs are small enough that the end does not matter.
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
    cut(job);
    job.first_slab = next;
    next += job.slabs;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

unsigned usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int count = CPU_COUNT(&set);
    if (count > 0) return static_cast<unsigned>(count);
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

// One thread's buffers, grown to the largest slab it meets.
struct Scratch {
  std::vector<std::byte> fetched, blocks;
  std::vector<float> source, rounded, statistic;
};

class Run {
 public:
  Run(const Model& model, std::span<const Output> outputs, const RunOptions& options,
      Warnings& warnings)
      : model_(model),
        outputs_(outputs),
        options_(options),
        warnings_(warnings),
        jobs_(make_jobs(model, outputs)) {
    total_slabs_ = jobs_.empty() ? 0 : jobs_.back().first_slab + jobs_.back().slabs;
    nonfinite_.resize(jobs_.size());
    stats_.resize(jobs_.size());
    for (std::size_t j = 0; j < jobs_.size(); ++j)
      stats_[j].resize(jobs_[j].slabs * jobs_[j].destinations.size());
    for (const Output& output : outputs) sequential_ |= output.sink->sequential();
    if (sequential_ && outputs.size() != 1) {
      fail(ErrorCode::USE05, {}, {}, "a stream cannot be one of several outputs");
    }
    for (const Job& job : jobs_) {
      total_bytes_ += job.tensor->shape.values() / info(job.tensor->value->type).block_values *
                      info(job.tensor->value->type).block_bytes;
    }
  }

  std::vector<Report> execute() {
    for (const Output& output : outputs_) output.sink->begin(*output.plan);
    work();
    warn_nonfinite();
    model_.source->check_unchanged();
    std::vector<Report> reports = make_reports();
    for (const Output& output : outputs_) output.sink->finish();
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      const std::vector<std::string> paths = outputs_[o].sink->paths();
      for (std::size_t f = 0; f < paths.size(); ++f) {
        reports[o].files.push_back({paths[f], outputs_[o].plan->files[f].bytes()});
      }
    }
    check_stop();
    if (options_.before_publish) options_.before_publish(reports);
    publish();
    return reports;
  }

 private:
  // All or nothing: what was already published is withdrawn when a later output cannot be.
  void publish() {
    std::size_t done = 0;
    try {
      for (; done < outputs_.size(); ++done) outputs_[done].sink->publish();
    } catch (...) {
      while (done-- > 0) outputs_[done].sink->withdraw();
      throw;
    }
  }

  void check_stop() const {
    if (options_.stop && options_.stop->load(std::memory_order_relaxed)) throw Stopped{};
  }

  unsigned thread_count() const {
    std::uint64_t largest = 1;
    for (const Job& job : jobs_) largest = std::max(largest, worker_bytes(job));
    std::uint64_t memory = options_.max_memory;
    if (memory == 0) memory = kDefaultMemory + kDefaultMemoryPerOutput * (outputs_.size() - 1);
    const std::uint64_t affordable = memory / largest;
    if (affordable == 0) {
      fail(ErrorCode::USE03, {}, {}, "--max-memory is too small for this model",
           std::to_string(memory) + " bytes", "at least " + std::to_string(largest) + " bytes");
    }
    const unsigned wanted = options_.threads != 0 ? options_.threads : usable_cores();
    return static_cast<unsigned>(std::min<std::uint64_t>(
        std::min<std::uint64_t>(wanted, affordable), std::max<std::uint64_t>(total_slabs_, 1)));
  }

  void work() {
    const unsigned count = thread_count();
    read_ahead_slabs_ = 2 * count;
    for (std::uint64_t slab = 0; slab < read_ahead_slabs_; ++slab) read_ahead(slab);
    std::vector<std::thread> threads;
    running_ = count;
    try {
      for (unsigned i = 0; i < count; ++i) threads.emplace_back([this] { worker(); });
    } catch (const std::system_error&) {
      const std::lock_guard<std::mutex> lock(mutex_);
      running_ -= count - static_cast<unsigned>(threads.size());
      if (threads.empty())
        throw Error(Problem{ErrorCode::MEM01, {}, {}, "no thread can be started", {}, {}});
    }
    {
      std::unique_lock<std::mutex> lock(mutex_);
      while (running_ != 0) {
        finished_.wait_for(lock, kProgressPeriod);
        if (options_.on_progress) {
          const Progress progress{bytes_done_.load(), total_bytes_, bytes_written_.load(),
                                  current_name()};
          lock.unlock();
          options_.on_progress(progress);
          lock.lock();
        }
      }
    }
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    check_stop();
  }

  std::string_view current_name() const {
    const std::uint64_t slab = std::min(next_.load(), total_slabs_ == 0 ? 0 : total_slabs_ - 1);
    return jobs_.empty() ? std::string_view{} : std::string_view(jobs_[job_of(slab)].tensor->name);
  }

  std::size_t job_of(std::uint64_t slab) const {
    const auto at =
        std::upper_bound(jobs_.begin(), jobs_.end(), slab,
                         [](std::uint64_t s, const Job& job) { return s < job.first_slab; });
    // Tensors without values own no slab: the last job that starts at or before this one has it.
    return static_cast<std::size_t>(at - jobs_.begin()) - 1;
  }

  void worker() noexcept {
    Scratch scratch;
    while (!failed_.load(std::memory_order_relaxed) &&
           !(options_.stop && options_.stop->load(std::memory_order_relaxed))) {
      const std::uint64_t slab = next_.fetch_add(1);
      if (slab >= total_slabs_) break;
      try {
        process(slab, scratch);
      } catch (const Error&) {
        keep_failure(slab, std::current_exception());
      } catch (const std::bad_alloc&) {
        keep_failure(slab,
                     std::make_exception_ptr(Error(Problem{
                         ErrorCode::MEM01, {}, {}, "out of memory while quantizing", {}, {}})));
      } catch (const std::exception& e) {
        keep_failure(slab, std::make_exception_ptr(
                               Error(Problem{ErrorCode::BUG01, {}, {}, e.what(), {}, {}})));
      }
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      --running_;
    }
    finished_.notify_all();
    turn_changed_.notify_all();
  }

  // The failure of the first slab in order wins, so that the message does not depend on timing:
  // every slab before it was taken before it and is finished.
  void keep_failure(std::uint64_t slab, std::exception_ptr error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_ || slab < failed_slab_) {
      failure_ = std::move(error);
      failed_slab_ = slab;
    }
    failed_ = true;
    turn_changed_.notify_all();
  }

  void process(std::uint64_t number, Scratch& scratch) {
    const std::size_t job_index = job_of(number);
    const Job& job = jobs_[job_index];
    const std::uint64_t index = number - job.first_slab;
    const Slab slab = slab_of(job, index);
    const ModelTensor& tensor = *job.tensor;
    const ValueNode& value = *tensor.value;

    read_ahead(number + read_ahead_slabs_);
    scratch.fetched.resize(stored_bytes(value.type, slab.count));
    fetch(value, *model_.source, slab.first, slab.count, scratch.fetched);
    const Quantizer* decoder = find_quantizer(value.type);
    bool decoded = false;
    std::uint64_t nonfinite = 0;
    if (decoder && decoder->first_invalid(scratch.fetched.data(),
                                          slab.count / info(value.type).block_values)) {
      decode_source(tensor, *decoder, slab, scratch);
      decoded = true;
      nonfinite = check_nonfinite(job_index, slab, scratch);
    }
    for (std::size_t d = 0; d < job.destinations.size(); ++d) {
      const Destination& destination = job.destinations[d];
      const PlannedTensor& planned = *destination.planned;
      ErrorStats& stats = stats_[job_index][index * job.destinations.size() + d];
      const std::uint64_t offset = stored_bytes(planned.type, slab.first);
      if (planned.type == value.type && tensor.stored_type == value.type) {  // byte for byte
        stats.values = slab.count;
        stats.nonfinite = nonfinite;
        write(number, destination, offset, scratch.fetched);
        continue;
      }
      const Quantizer* encoder = find_quantizer(planned.type);
      if (!decoder || !encoder || !encoder->encode) {
        fail(ErrorCode::QZ03, std::string(model_.source->path()), {},
             "tensor " + quoted(tensor.name) + " cannot be converted",
             std::string(info(value.type).name), std::string(info(planned.type).name));
      }
      if (!decoded) {
        decode_source(tensor, *decoder, slab, scratch);
        decoded = true;
      }
      encode(job, destination, slab, nonfinite != 0, scratch);
      stats = measure_output(job, planned, slab, nonfinite != 0, scratch);
      write(number, destination, offset, scratch.blocks);
    }
    bytes_done_ += scratch.fetched.size();
    end_turn(number);
  }

  // Hints that a slab will be read soon: its share of the bytes of its source tensors, taken as one
  // run. For permuted rows that is right to within a head.
  void read_ahead(std::uint64_t number) const {
    if (number >= total_slabs_) return;
    const Job& job = jobs_[job_of(number)];
    const Slab slab = slab_of(job, number - job.first_slab);
    const Source& source = *model_.source;
    std::uint64_t total = 0;
    for (const std::size_t t : job.tensor->source_tensors) total += source.tensors()[t].bytes;
    const auto share = [&](std::uint64_t values) {
      const double part =
          static_cast<double>(values) / static_cast<double>(job.tensor->shape.values());
      return std::min(total, static_cast<std::uint64_t>(part * static_cast<double>(total)));
    };
    std::uint64_t begin = share(slab.first);
    std::uint64_t end = share(slab.first + slab.count);
    for (const std::size_t t : job.tensor->source_tensors) {
      const std::uint64_t bytes = source.tensors()[t].bytes;
      if (begin < std::min(end, bytes)) source.prefetch(t, begin, std::min(end, bytes) - begin);
      begin -= std::min(begin, bytes);
      end -= std::min(end, bytes);
    }
  }

  // Source values that are not finite: an error if they go into blocks that cannot hold them, else
  // counted. Returns their number in this slab.
  std::uint64_t check_nonfinite(std::size_t job_index, const Slab& slab, const Scratch& scratch) {
    const Job& job = jobs_[job_index];
    NonFiniteCount found;
    for (std::uint64_t i = slab.count; i-- > 0;) {
      if (std::isfinite(scratch.source[i])) continue;
      found.first = slab.first + i;
      ++found.values;
    }
    if (found.values == 0) return 0;
    for (const Destination& destination : job.destinations) {
      const NonFinite policy = outputs_[destination.output].plan->nonfinite;
      const bool blocks = is_quantized(destination.planned->type) &&
                          destination.planned->type != job.tensor->value->type;
      if (policy == NonFinite::error || (policy != NonFinite::zero && blocks)) {
        const Place place = locate(*job.tensor->value, *model_.source, found.first);
        fail(ErrorCode::QZ01, place.file, place.offset, nonfinite_text(job, found.first));
      }
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    NonFiniteCount& sum = nonfinite_[job_index];
    sum.first = sum.values == 0 ? found.first : std::min(sum.first, found.first);
    sum.values += found.values;
    return found.values;
  }

  static std::string nonfinite_text(const Job& job, std::uint64_t index) {
    return "tensor " + quoted(job.tensor->name) + " holds a value that is not finite, index " +
           std::to_string(index);
  }

  void warn_nonfinite() {
    for (std::size_t j = 0; j < jobs_.size(); ++j) {
      const NonFiniteCount& count = nonfinite_[j];
      if (count.values == 0) continue;
      const Place place = locate(*jobs_[j].tensor->value, *model_.source, count.first);
      warnings_.add(ErrorCode::QZ01, place.file, place.offset,
                    nonfinite_text(jobs_[j], count.first) + "; the tensor has " +
                        std::to_string(count.values) + " of them");
    }
  }

  void decode_source(const ModelTensor& tensor, const Quantizer& decoder, const Slab& slab,
                     Scratch& scratch) const {
    scratch.source.resize(slab.count);
    decoder.decode(scratch.fetched.data(), slab.count, scratch.source.data());
    // Only a 16-bit intermediate that the user asked for can change a value here.
    const DType stored = tensor.stored_type;
    scratch.rounded.clear();
    if (stored != tensor.value->type && (stored == DType::f16 || stored == DType::bf16)) {
      scratch.rounded.resize(slab.count);
      for (std::uint64_t i = 0; i < slab.count; ++i) {
        scratch.rounded[i] = stored == DType::f16
                                 ? half_to_float(float_to_half(scratch.source[i]))
                                 : bfloat16_to_float(float_to_bfloat16(scratch.source[i]));
      }
    }
  }

  void encode(const Job& job, const Destination& destination, const Slab& slab, bool nonfinite,
              Scratch& scratch) {
    const ModelTensor& tensor = *job.tensor;
    const PlannedTensor& planned = *destination.planned;
    const Quantizer& quantizer = *find_quantizer(planned.type);
    std::vector<float> zeroed;
    if (nonfinite && is_quantized(planned.type)) {  // only --nonfinite zero gets here
      zeroed = scratch.rounded.empty() ? scratch.source : scratch.rounded;
      for (float& x : zeroed) x = std::isfinite(x) ? x : 0.0F;
    }
    const std::vector<float>& values = !zeroed.empty()           ? zeroed
                                       : scratch.rounded.empty() ? scratch.source
                                                                 : scratch.rounded;
    scratch.blocks.resize(stored_bytes(planned.type, slab.count));
    const std::uint64_t row = tensor.shape.row_values();
    const std::uint64_t matrix = tensor.shape.rank() < 2
                                     ? tensor.shape.values()
                                     : row * tensor.shape.dims()[tensor.shape.rank() - 2];
    // Pieces that share one slice of the importance weights.
    for (std::uint64_t at = 0; at < slab.count;) {
      const std::uint64_t position = slab.first + at;
      std::uint64_t count = slab.count - at;
      EncodeInput input;
      input.values = values.data() + at;
      if (planned.importance) {
        count = std::min(count, matrix - position % matrix);
        const std::uint64_t columns = position % row;  // 0 unless a slab is a piece of a row
        input.importance = planned.importance->weights.data() + position / matrix * row + columns;
      }
      input.row_values = job.slabs_per_row == 0 ? row : count;
      input.rows = count / input.row_values;
      if (planned.importance && quantizer.row_sum) {
        row_statistics(job, quantizer, input, position, scratch);
        input.row_statistic = scratch.statistic.data();
      }
      quantizer.encode(input, scratch.blocks.data() + stored_bytes(planned.type, at));
      at += count;
    }
  }

  void row_statistics(const Job& job, const Quantizer& quantizer, const EncodeInput& input,
                      std::uint64_t position, Scratch& scratch) {
    scratch.statistic.clear();
    const std::uint64_t row_values = job.tensor->shape.row_values();
    if (job.slabs_per_row != 0) {
      scratch.statistic.push_back(long_row_statistic(job, quantizer, position / row_values));
      return;
    }
    for (std::uint64_t r = 0; r < input.rows; ++r) {
      float sum = 0;
      quantizer.row_sum(input.values + r * row_values, row_values, sum);
      scratch.statistic.push_back(quantizer.row_finish(sum, row_values));
    }
  }

  // A row longer than a slab is read once more for its statistic, by the first worker that needs
  // it.
  float long_row_statistic(const Job& job, const Quantizer& quantizer, std::uint64_t row) {
    const std::lock_guard<std::mutex> lock(long_rows_mutex_);
    const auto key = std::pair<const Job*, std::uint64_t>(&job, row);
    if (const auto known = long_rows_.find(key); known != long_rows_.end()) return known->second;
    const ModelTensor& tensor = *job.tensor;
    const Quantizer& decoder = *find_quantizer(tensor.value->type);
    const std::uint64_t row_values = tensor.shape.row_values();
    Scratch scratch;
    float sum = 0;
    for (std::uint64_t at = 0; at < row_values; at += kSlabValues) {
      const Slab piece{row * row_values + at, std::min(kSlabValues, row_values - at)};
      scratch.fetched.resize(stored_bytes(tensor.value->type, piece.count));
      fetch(*tensor.value, *model_.source, piece.first, piece.count, scratch.fetched);
      decode_source(tensor, decoder, piece, scratch);
      const std::vector<float>& values = scratch.rounded.empty() ? scratch.source : scratch.rounded;
      quantizer.row_sum(values.data(), piece.count, sum);
    }
    const float statistic = quantizer.row_finish(sum, row_values);
    long_rows_.emplace(key, statistic);
    return statistic;
  }

  // Decodes the blocks again, a piece at a time, and adds up what was lost.
  ErrorStats measure_output(const Job& job, const PlannedTensor& planned, const Slab& slab,
                            bool nonfinite, const Scratch& scratch) const {
    const Quantizer& quantizer = *find_quantizer(planned.type);
    const TypeInfo& type = info(planned.type);
    const auto invalid =
        quantizer.first_invalid(scratch.blocks.data(), slab.count / type.block_values);
    if (invalid && (is_quantized(planned.type) || !nonfinite))
      fail_too_large(job, planned, slab, *invalid * type.block_values, scratch);
    ErrorStats stats;
    std::array<float, kMeasureValues> decoded;
    for (std::uint64_t at = 0; at < slab.count; at += kMeasureValues) {
      const std::uint64_t count = std::min(kMeasureValues, slab.count - at);
      quantizer.decode(scratch.blocks.data() + stored_bytes(planned.type, at), count,
                       decoded.data());
      const ErrorStats piece = measure(scratch.source.data() + at, decoded.data(), count);
      if (piece.saturated != 0) fail_too_large(job, planned, slab, at, scratch);
      stats.merge(piece);
    }
    return stats;
  }

  // Names the value of the largest magnitude among those that share the block.
  [[noreturn]] void fail_too_large(const Job& job, const PlannedTensor& planned, const Slab& slab,
                                   std::uint64_t first, const Scratch& scratch) const {
    const std::uint64_t block = info(planned.type).block_values;
    const std::uint64_t length =
        std::min(block == 1 ? kMeasureValues : std::uint64_t{block}, slab.count - first);
    std::uint64_t largest = first;
    for (std::uint64_t i = first; i < first + length; ++i) {
      const float magnitude = std::fabs(scratch.source[i]);
      if (std::isfinite(magnitude) && magnitude > std::fabs(scratch.source[largest])) largest = i;
    }
    const Place place = locate(*job.tensor->value, *model_.source, slab.first + largest);
    fail(ErrorCode::QZ02, place.file, place.offset,
         "tensor " + quoted(planned.name) + " holds a value too large for " +
             std::string(info(planned.type).name) + ", index " +
             std::to_string(slab.first + largest));
  }

  // Streams are written slab after slab: a worker waits until all slabs before its own are out.
  void write(std::uint64_t number, const Destination& destination, std::uint64_t offset,
             std::span<const std::byte> bytes) {
    if (sequential_) {
      std::unique_lock<std::mutex> lock(mutex_);
      turn_changed_.wait(lock, [&] { return turn_ == number || failed_; });
      if (turn_ != number) return;  // the run has failed before this slab
    }
    outputs_[destination.output].sink->write(destination.file, destination.tensor, offset, bytes);
    bytes_written_ += bytes.size();
  }
  void end_turn(std::uint64_t number) {
    if (!sequential_) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      turn_ = std::max(turn_, number + 1);
    }
    turn_changed_.notify_all();
  }

  std::vector<Report> make_reports() const {
    std::vector<Report> reports;
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      reports.push_back(make_report(model_, *outputs_[o].plan));
      Report& report = reports.back();
      std::vector<std::size_t> first_of_file;
      std::size_t total = 0;
      for (const PlannedFile& file : outputs_[o].plan->files) {
        first_of_file.push_back(total);
        total += file.tensors.size();
      }
      for (std::size_t j = 0; j < jobs_.size(); ++j) {
        const Job& job = jobs_[j];
        for (std::size_t d = 0; d < job.destinations.size(); ++d) {
          const Destination& destination = job.destinations[d];
          if (destination.output != o) continue;
          ErrorStats sum;
          for (std::uint64_t s = 0; s < job.slabs; ++s)
            sum.merge(stats_[j][s * job.destinations.size() + d]);
          report.tensors[first_of_file[destination.file] + destination.tensor].error = sum;
        }
      }
    }
    return reports;
  }

  const Model& model_;
  std::span<const Output> outputs_;
  const RunOptions& options_;
  Warnings& warnings_;
  std::vector<Job> jobs_;
  std::vector<std::vector<ErrorStats>>
      stats_;  // per job: slab x destination, each written by one worker
  std::vector<NonFiniteCount> nonfinite_;  // per job
  std::uint64_t total_slabs_ = 0;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t read_ahead_slabs_ = 0;
  bool sequential_ = false;

  std::atomic<std::uint64_t> next_{0};
  std::atomic<std::uint64_t> bytes_done_{0};
  std::atomic<std::uint64_t> bytes_written_{0};
  std::atomic<bool> failed_{false};

  std::mutex mutex_;  // running_, turn_, failure_, nonfinite_
  std::condition_variable finished_;
  std::condition_variable turn_changed_;
  unsigned running_ = 0;
  std::uint64_t turn_ = 0;
  std::exception_ptr failure_;
  std::uint64_t failed_slab_ = 0;

  std::mutex long_rows_mutex_;
  std::map<std::pair<const Job*, std::uint64_t>, float> long_rows_;
};

}  // namespace

std::vector<Report> run(const Model& model, std::span<const Output> outputs,
                        const RunOptions& options, Warnings& warnings) {
  return Run(model, outputs, options, warnings).execute();
}

std::uint64_t minimum_memory(const Model& model, std::span<const Output> outputs, unsigned) {
  std::uint64_t largest = 1;
  for (const Job& job : make_jobs(model, outputs)) largest = std::max(largest, worker_bytes(job));
  return largest;
}

}  // namespace quantize
