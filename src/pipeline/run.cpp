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
#include "pipeline/jobs.hpp"
#include "pipeline/locate.hpp"
#include "pipeline/measure.hpp"
#include "quant/lattice.hpp"

namespace quantize {
namespace {

constexpr std::uint64_t kDefaultMemory = std::uint64_t{160} << 20;
constexpr std::uint64_t kDefaultMemoryPerOutput = std::uint64_t{48} << 20;
constexpr std::uint64_t kMeasureValues = 4096;  // decoded and compared at once
constexpr std::uint64_t kReadAheadSlabs = 16;   // at least, or two per worker
constexpr auto kProgressPeriod = std::chrono::milliseconds(100);
constexpr auto kWriteBackPeriod = std::chrono::milliseconds(100);

// Values of a tensor that are not finite.
struct NonFiniteCount {
  std::uint64_t values = 0;
  std::uint64_t first = 0;  // index in the tensor
};

// Memory of a worker that may get any of the jobs.
std::uint64_t worker_bytes(const std::vector<Job>& jobs, const Source& source) {
  std::uint64_t largest = 1;
  for (const Job& job : jobs) largest = std::max(largest, job.worker_bytes(source));
  return largest;
}

unsigned usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int count = CPU_COUNT(&set);
    if (count > 0) return static_cast<unsigned>(count);
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

// One thread's buffers. They only grow, to the largest slab and tile it meets.
struct Scratch {
  std::vector<std::byte> fetched;
  std::vector<std::vector<std::byte>> blocks;  // per destination
  std::vector<float> source, rounded, zeroed, decoded;
  std::vector<std::byte> halves;
  std::vector<ErrorSums> sums;  // per destination
};

template <class T>
T* at_least(std::vector<T>& buffer, std::uint64_t count) {
  if (buffer.size() < count) buffer.resize(count);
  return buffer.data();
}

// Values [slab.first + first, + count): what is decoded, encoded and measured at once.
struct Tile {
  const Job& job;
  const Slab& slab;
  std::uint64_t first, count;
  const float* source;  // the source's values
  const float* values;  // the same after the rounding that an --outtype asks for
};

// Has the outputs written back while they are made. In a thread of its own, since the call waits
// when the disk is busy, and the workers must not.
class WriteBack {
 public:
  explicit WriteBack(std::span<const Output> outputs) : outputs_(outputs) {
    try {
      thread_ = std::thread([this] { repeat(); });
    } catch (const std::system_error&) {  // then the final sync does it all
    }
  }
  ~WriteBack() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  WriteBack(const WriteBack&) = delete;
  WriteBack& operator=(const WriteBack&) = delete;

 private:
  void repeat() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!changed_.wait_for(lock, kWriteBackPeriod, [this] { return done_; })) {
      lock.unlock();
      for (const Output& output : outputs_) output.sink->start_write_back();
      lock.lock();
    }
  }

  std::span<const Output> outputs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
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
    if (surveys_needed()) {
      work(&Run::survey);
      fold_surveys();
    }
    work(&Run::process);
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
    const std::uint64_t each = worker_bytes(jobs_, *model_.source);
    std::uint64_t memory = options_.max_memory;
    if (memory == 0) memory = kDefaultMemory + kDefaultMemoryPerOutput * (outputs_.size() - 1);
    if (memory < each) {
      fail(ErrorCode::USE03, {}, {}, "--max-memory is too small for this model",
           std::to_string(memory) + " bytes", "at least " + std::to_string(each) + " bytes");
    }
    const unsigned wanted = options_.threads != 0 ? options_.threads : usable_cores();
    return static_cast<unsigned>(std::min<std::uint64_t>(
        std::min<std::uint64_t>(wanted, memory / each), std::max<std::uint64_t>(total_slabs_, 1)));
  }

  using Step = void (Run::*)(std::uint64_t slab, Scratch& scratch);

  // Every slab once, by all workers.
  void work(Step step) {
    next_ = 0;
    const unsigned count = thread_count();
    read_ahead_slabs_ = std::max<std::uint64_t>(kReadAheadSlabs, 2 * std::uint64_t{count});
    for (std::uint64_t slab = 0; slab < read_ahead_slabs_; ++slab) read_ahead(slab);
    std::vector<std::thread> threads;
    running_ = count;
    const WriteBack write_back(outputs_);
    try {
      for (unsigned i = 0; i < count; ++i) threads.emplace_back([this, step] { worker(step); });
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

  void worker(Step step) noexcept {
    Scratch scratch;
    while (!failed_.load(std::memory_order_relaxed) &&
           !(options_.stop && options_.stop->load(std::memory_order_relaxed))) {
      const std::uint64_t slab = next_.fetch_add(1);
      if (slab >= total_slabs_) break;
      try {
        (this->*step)(slab, scratch);
      } catch (const Error&) {
        keep_failure(slab, std::current_exception());
      } catch (const Stopped&) {  // while a sink waited for its reader
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

  // The pass before the encoding, for formats that must know something of a whole matrix.
  bool surveys_needed() {
    bool any = false;
    surveys_.resize(jobs_.size());
    for (std::size_t j = 0; j < jobs_.size(); ++j) {
      surveys_[j].resize(jobs_[j].destinations.size());
      for (std::size_t d = 0; d < jobs_[j].destinations.size(); ++d) {
        if (!surveyed(jobs_[j].destinations[d])) continue;
        surveys_[j][d].slabs.resize(jobs_[j].slabs);
        any = true;
      }
    }
    return any;
  }

  static bool surveyed(const Destination& destination) {
    const WeightFormat* format = destination.planned->format.get();
    return format && format->survey_fold() != SurveyFold::none;
  }

  void survey(std::uint64_t number, Scratch& scratch) {
    const std::size_t job_index = job_of(number);
    const Job& job = jobs_[job_index];
    if (std::none_of(job.destinations.begin(), job.destinations.end(), surveyed)) return;
    const Slab slab = job.slab(number - job.first_slab);
    read_ahead(number + read_ahead_slabs_);
    fetch_slab(job, slab, scratch);
    for (std::uint64_t at = 0; at < slab.count; at += job.tile_values()) {
      const Tile tile =
          decode_tile(job, slab, at, std::min(job.tile_values(), slab.count - at), scratch);
      float* finite = at_least(scratch.zeroed, tile.count);
      for (std::uint64_t i = 0; i < tile.count; ++i)
        finite[i] = std::isfinite(tile.values[i]) ? tile.values[i] : 0.0F;
      for (std::size_t d = 0; d < job.destinations.size(); ++d) {
        if (!surveyed(job.destinations[d])) continue;
        const WeightFormat& format = *job.destinations[d].planned->format;
        double& sum = surveys_[job_index][d].slabs[number - job.first_slab];
        sum = folded(format.survey_fold(), sum, format.survey(finite, tile.count));
      }
    }
  }

  static double folded(SurveyFold fold, double a, double b) {
    return fold == SurveyFold::largest ? std::max(a, b) : a + b;
  }

  void fold_surveys() {
    std::map<std::pair<std::size_t, std::size_t>, double> groups;  // by output and group
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t j = 0; j < jobs_.size(); ++j) {
        for (std::size_t d = 0; d < jobs_[j].destinations.size(); ++d) {
          const Destination& destination = jobs_[j].destinations[d];
          if (!surveyed(destination)) continue;
          const WeightFormat& format = *destination.planned->format;
          const SurveyFold fold = format.survey_fold();
          double sum = 0;
          for (const double slab : surveys_[j][d].slabs) sum = folded(fold, sum, slab);
          if (fold == SurveyFold::largest) {
            double& group = groups[{destination.output, destination.planned->survey_group}];
            group = std::max(group, sum);
            sum = group;
          }
          surveys_[j][d].result = format.survey_result(sum, jobs_[j].matrix().size);
        }
      }
    }
  }

  void process(std::uint64_t number, Scratch& scratch) {
    const std::size_t job_index = job_of(number);
    const Job& job = jobs_[job_index];
    const std::uint64_t index = number - job.first_slab;
    const Slab slab = job.slab(index);
    const ValueNode& value = *job.tensor->value;
    const Quantizer* decoder = find_quantizer(value.type);
    const std::size_t destinations = job.destinations.size();

    read_ahead(number + read_ahead_slabs_);
    const std::optional<float> statistic = long_row_statistic(job, slab, scratch);
    const std::span<std::byte> fetched = fetch_slab(job, slab, scratch);
    std::uint64_t nonfinite = 0;
    if (decoder &&
        decoder->first_invalid(fetched.data(), slab.count / info(value.type).block_values))
      nonfinite = check_nonfinite(job_index, slab, scratch);

    scratch.blocks.resize(std::max(scratch.blocks.size(), destinations));
    scratch.sums.assign(destinations, {});
    bool encodes = false;
    for (std::size_t d = 0; d < destinations; ++d) {
      const Destination& destination = job.destinations[d];
      if (job.copies(destination)) continue;
      check_convertible(job, *destination.planned, decoder);
      at_least(scratch.blocks[d], buffer_bytes(destination, slab));
      encodes = true;
    }
    if (encodes) {
      for (std::uint64_t at = 0; at < slab.count; at += job.tile_values()) {
        const Tile tile =
            decode_tile(job, slab, at, std::min(job.tile_values(), slab.count - at), scratch);
        for (std::size_t d = 0; d < destinations; ++d) {
          const Destination& destination = job.destinations[d];
          if (job.copies(destination)) continue;
          if (destination.planned->format) {
            encode_parts(tile, destination, nonfinite != 0, surveys_of(job_index, d), scratch, d);
            continue;
          }
          std::byte* blocks =
              scratch.blocks[d].data() + stored_bytes(destination.planned->type, at);
          encode(tile, destination, nonfinite != 0, statistic, scratch, blocks);
          measure(tile, *destination.planned, nonfinite != 0, blocks, scratch.sums[d]);
        }
      }
    }
    for (std::size_t d = 0; d < destinations; ++d) {
      const Destination& destination = job.destinations[d];
      const DType type = destination.planned->type;
      ErrorStats& stats = stats_[job_index][index * destinations + d];
      if (destination.planned->format) {
        stats = scratch.sums[d].total();
        write_parts(number, job, destination, slab, surveys_of(job_index, d), scratch.blocks[d]);
        continue;
      }
      std::span<const std::byte> bytes = fetched;
      if (job.copies(destination)) {
        stats.values = slab.count;
        stats.nonfinite = nonfinite;
      } else {
        stats = scratch.sums[d].total();
        bytes = {scratch.blocks[d].data(), stored_bytes(type, slab.count)};
      }
      write(number, destination, stored_bytes(type, slab.first), bytes);
    }
    bytes_done_ += fetched.size();
    end_turn(number);
  }

  double surveys_of(std::size_t job, std::size_t destination) const {
    return surveys_[job][destination].result;
  }

  static std::uint64_t buffer_bytes(const Destination& destination, const Slab& slab) {
    if (!destination.planned->format) return stored_bytes(destination.planned->type, slab.count);
    std::uint64_t bytes = 0;
    for (const WeightPart& part : destination.parts)
      if (part.entry_values != 0) bytes += part.lines * entry_bytes(part, slab.count);
    return bytes;
  }

  // The values of a tile, what is not finite replaced by zero if that was asked for.
  static const float* encodable(const Tile& tile, bool nonfinite, Scratch& scratch) {
    if (!nonfinite) return tile.values;  // else only --nonfinite zero gets here
    float* zeroed = at_least(scratch.zeroed, tile.count);
    for (std::uint64_t i = 0; i < tile.count; ++i)
      zeroed[i] = std::isfinite(tile.values[i]) ? tile.values[i] : 0.0F;
    return zeroed;
  }

  // Encodes a tile into the parts of a checkpoint's weight, which stand one after the other in the
  // destination's buffer, and adds up what was lost.
  void encode_parts(const Tile& tile, const Destination& destination, bool nonfinite, double survey,
                    Scratch& scratch, std::size_t d) const {
    const std::uint64_t columns = tile.job.tensor->shape.row_values();
    std::vector<std::byte*> parts;
    std::byte* buffer = scratch.blocks[d].data();
    for (const WeightPart& part : destination.parts) {
      parts.push_back(nullptr);
      if (part.entry_values == 0) continue;
      parts.back() = buffer + entry_bytes(part, tile.first);  // lines: a tile is a slab
      buffer += part.lines * entry_bytes(part, tile.slab.count);
    }
    float* decoded = at_least(scratch.decoded, tile.count);
    const MatrixRows rows{encodable(tile, nonfinite, scratch), tile.count / columns, columns,
                          survey};
    destination.planned->format->encode(tile.job.matrix(), rows, parts, decoded);
    scratch.sums[d].add(tile.first, tile.source, decoded, tile.count);
    if (scratch.sums[d].saturated() != 0) {
      const auto bad =
          std::find_if_not(decoded, decoded + tile.count, [](float x) { return std::isfinite(x); });
      fail_too_large(tile, *destination.planned, static_cast<std::uint64_t>(bad - decoded));
    }
  }

  void write_parts(std::uint64_t number, const Job& job, const Destination& destination,
                   const Slab& slab, double survey, const std::vector<std::byte>& buffer) {
    const std::byte* from = buffer.data();
    for (std::size_t p = 0; p < destination.parts.size(); ++p) {
      const WeightPart& part = destination.parts[p];
      const std::uint64_t begin = destination.planned->parts[p].offset;
      if (part.entry_values == 0) {
        if (slab.first == 0) {
          const auto bytes = destination.planned->format->once(job.matrix(), p, survey);
          write(number, destination, begin, bytes);
        }
        continue;
      }
      const std::uint64_t line = part.bytes() / part.lines;
      const std::uint64_t at = entry_bytes(part, slab.first);
      const std::uint64_t stride = entry_bytes(part, slab.count);
      for (std::uint64_t l = 0; l < part.lines; ++l)
        write(number, destination, begin + l * line + at,
              {from + l * stride, std::min(stride, line - at)});
      from += part.lines * stride;
    }
  }

  std::span<std::byte> fetch_slab(const Job& job, const Slab& slab, Scratch& scratch) const {
    const ValueNode& value = *job.tensor->value;
    const std::uint64_t bytes = stored_bytes(value.type, slab.count);
    const std::span<std::byte> fetched(at_least(scratch.fetched, bytes), bytes);
    fetch(value, *model_.source, slab.first, slab.count, fetched);
    return fetched;
  }

  void check_convertible(const Job& job, const PlannedTensor& planned,
                         const Quantizer* decoder) const {
    if (decoder && planned.format) return;
    const Quantizer* encoder = find_quantizer(planned.type);
    if (encoder && encoder->importance == ImportanceUse::required && !planned.importance) {
      fail(ErrorCode::QZ07, std::string(model_.source->path()), {},
           "tensor " + quoted(job.tensor->name) + " cannot become " +
               std::string(info(planned.type).name) + " without importance weights");
    }
    if (decoder && encoder && encoder->encode) return;
    fail(ErrorCode::QZ03, std::string(model_.source->path()), {},
         "tensor " + quoted(job.tensor->name) + " cannot be converted",
         std::string(info(job.tensor->value->type).name), std::string(info(planned.type).name));
  }

  // Hints that a slab will be read soon: its share of the bytes of its source tensors, taken as one
  // run. For permuted rows that is right to within a head.
  void read_ahead(std::uint64_t number) const {
    if (number >= total_slabs_) return;
    const Job& job = jobs_[job_of(number)];
    const Slab slab = job.slab(number - job.first_slab);
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
  std::uint64_t check_nonfinite(std::size_t job_index, const Slab& slab, Scratch& scratch) {
    const Job& job = jobs_[job_index];
    NonFiniteCount found;
    for (std::uint64_t at = 0; at < slab.count; at += job.tile_values()) {
      const Tile tile =
          decode_tile(job, slab, at, std::min(job.tile_values(), slab.count - at), scratch);
      for (std::uint64_t i = 0; i < tile.count; ++i) {
        if (std::isfinite(tile.source[i])) continue;
        if (found.values == 0) found.first = slab.first + at + i;
        ++found.values;
      }
    }
    if (found.values == 0) return 0;
    for (const Destination& destination : job.destinations) {
      const NonFinite policy = outputs_[destination.output].plan->nonfinite;
      const bool blocks =
          destination.planned->format || (is_quantized(destination.planned->type) &&
                                          destination.planned->type != job.tensor->value->type);
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

  Tile decode_tile(const Job& job, const Slab& slab, std::uint64_t first, std::uint64_t count,
                   Scratch& scratch) const {
    const DType type = job.tensor->value->type;
    float* source = at_least(scratch.source, count);
    find_quantizer(type)->decode(scratch.fetched.data() + stored_bytes(type, first), count, source);
    // Only a 16-bit intermediate that the user asked for can change a value here.
    const DType stored = job.tensor->stored_type;
    if (stored == type || (stored != DType::f16 && stored != DType::bf16))
      return {job, slab, first, count, source, source};
    const Quantizer& rounding = *find_quantizer(stored);
    std::byte* halves = at_least(scratch.halves, stored_bytes(stored, count));
    float* rounded = at_least(scratch.rounded, count);
    rounding.encode({source, 1, count, nullptr, nullptr}, halves);
    rounding.decode(halves, count, rounded);
    return {job, slab, first, count, source, rounded};
  }

  // `statistic` is that of the row that the slab is a piece of, if it is one.
  void encode(const Tile& tile, const Destination& destination, bool nonfinite,
              std::optional<float> statistic, Scratch& scratch, std::byte* blocks) const {
    const Shape& shape = tile.job.tensor->shape;
    const PlannedTensor& planned = *destination.planned;
    const Quantizer& quantizer = *find_quantizer(planned.type);
    if (planned.exact && !tile.job.copies(destination)) {
      if (encode_exactly(planned.type, tile.job.tensor->value->type, tile.source, tile.count,
                         blocks))
        return;
      fail(ErrorCode::QZ02, std::string(model_.source->path()), {},
           "tensor " + quoted(planned.name) + " is no longer on the grid of " +
               std::string(info(planned.type).name));
    }
    const float* values = encodable(tile, nonfinite && is_quantized(planned.type), scratch);
    const std::uint64_t row = shape.row_values();
    const std::uint64_t matrix =
        shape.rank() < 2 ? shape.values() : row * shape.dims()[shape.rank() - 2];
    // Pieces that share one slice of the importance weights.
    for (std::uint64_t at = 0; at < tile.count;) {
      const std::uint64_t position = tile.slab.first + tile.first + at;
      std::uint64_t count = tile.count - at;
      EncodeInput input;
      input.values = values + at;
      input.reference_quirks = destination.reference_quirks;
      if (planned.importance) {
        count = std::min(count, matrix - position % matrix);
        const std::uint64_t columns = position % row;  // 0 unless a slab is a piece of a row
        input.importance = planned.importance->weights.data() + position / matrix * row + columns;
      }
      input.row_values = tile.job.slabs_per_row == 0 ? row : count;
      input.rows = count / input.row_values;
      // Whole rows are summed by the encoder itself, many at once.
      if (statistic) input.row_statistic = &*statistic;
      quantizer.encode(input, blocks + stored_bytes(planned.type, at));
      at += count;
    }
  }

  // A row longer than a slab is read once more for its statistic, if any output needs it, by the
  // first worker that comes to the row.
  std::optional<float> long_row_statistic(const Job& job, const Slab& slab, Scratch& scratch) {
    if (job.slabs_per_row == 0) return std::nullopt;
    const auto wanting =
        std::find_if(job.destinations.begin(), job.destinations.end(), [](const Destination& d) {
          const Quantizer* quantizer = find_quantizer(d.planned->type);
          return d.planned->importance && quantizer && quantizer->row_sum;
        });
    if (wanting == job.destinations.end()) return std::nullopt;
    const Quantizer& quantizer = *find_quantizer(wanting->planned->type);
    const std::uint64_t row_values = job.tensor->shape.row_values();
    const std::uint64_t row = slab.first / row_values;
    const std::lock_guard<std::mutex> lock(long_rows_mutex_);
    const auto key = std::pair<const Job*, std::uint64_t>(&job, row);
    if (const auto known = long_rows_.find(key); known != long_rows_.end()) return known->second;
    float sum = 0;
    for (std::uint64_t s = 0; s < job.slabs_per_row; ++s) {
      const Slab piece = job.slab(row * job.slabs_per_row + s);
      fetch_slab(job, piece, scratch);
      for (std::uint64_t at = 0; at < piece.count; at += job.tile_values()) {
        const Tile tile =
            decode_tile(job, piece, at, std::min(job.tile_values(), piece.count - at), scratch);
        quantizer.row_sum(tile.values, tile.count, sum);
      }
    }
    const float statistic = quantizer.row_finish(sum, row_values);
    long_rows_.emplace(key, statistic);
    return statistic;
  }

  // Decodes the blocks again, a piece at a time, and adds up what was lost.
  void measure(const Tile& tile, const PlannedTensor& planned, bool nonfinite,
               const std::byte* blocks, ErrorSums& sums) const {
    const Quantizer& quantizer = *find_quantizer(planned.type);
    const TypeInfo& type = info(planned.type);
    const auto invalid = quantizer.first_invalid(blocks, tile.count / type.block_values);
    if (invalid && (is_quantized(planned.type) || !nonfinite))
      fail_too_large(tile, planned, *invalid * type.block_values);
    std::array<float, kMeasureValues> decoded;
    for (std::uint64_t at = 0; at < tile.count; at += kMeasureValues) {
      const std::uint64_t count = std::min(kMeasureValues, tile.count - at);
      quantizer.decode(blocks + stored_bytes(planned.type, at), count, decoded.data());
      sums.add(tile.first + at, tile.source + at, decoded.data(), count);
      if (sums.saturated() != 0) fail_too_large(tile, planned, at);
    }
  }

  // Names the value of the largest magnitude among those that share the block.
  [[noreturn]] void fail_too_large(const Tile& tile, const PlannedTensor& planned,
                                   std::uint64_t first) const {
    const std::uint64_t block = info(planned.type).block_values;
    const std::uint64_t length =
        std::min(block == 1 ? kMeasureValues : std::uint64_t{block}, tile.count - first);
    std::uint64_t largest = first;
    for (std::uint64_t i = first; i < first + length; ++i) {
      const float magnitude = std::fabs(tile.source[i]);
      if (std::isfinite(magnitude) && magnitude > std::fabs(tile.source[largest])) largest = i;
    }
    const std::uint64_t index = tile.slab.first + tile.first + largest;
    const Place place = locate(*tile.job.tensor->value, *model_.source, index);
    fail(ErrorCode::QZ02, place.file, place.offset,
         "tensor " + quoted(planned.name) + " holds a value too large for " +
             std::string(planned.type_name()) + ", index " + std::to_string(index));
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
  struct Survey {
    std::vector<double> slabs;
    double result = 0;
  };
  std::vector<std::vector<Survey>> surveys_;  // per job and destination
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

std::uint64_t minimum_memory(const Model& model, std::span<const Output> outputs,
                             unsigned threads) {
  return std::max(threads, 1U) * worker_bytes(make_jobs(model, outputs), *model.source);
}

}  // namespace quantize
