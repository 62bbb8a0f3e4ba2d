// Promises of run() that do not depend on any format: a source in memory, sinks that keep bytes.
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "quantize/quantize.hpp"

#include "convert/value.hpp"
#include "support/memory_source.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

class MemorySink : public Sink {
 public:
  explicit MemorySink(bool in_order = false) : in_order_(in_order) {}
  void begin(const Plan& plan) override {
    plan_ = &plan;
    bytes.assign(plan.files[0].data_bytes, '\0');
  }
  void write(std::size_t, std::size_t tensor, std::uint64_t offset,
             std::span<const std::byte> data) override {
    const std::uint64_t at = plan_->files[0].tensors[tensor].offset + offset;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (fail_at && written >= *fail_at) fail(ErrorCode::OUT07, "memory", {}, "write failed");
    if (in_order_ && at < end_) out_of_order = true;
    end_ = at + data.size();
    written += data.size();
    std::memcpy(bytes.data() + at, data.data(), data.size());
  }
  bool sequential() const noexcept override { return in_order_; }
  void finish() override {
    if (fail_finish) fail(ErrorCode::OUT09, "memory", {}, "sync failed");
  }
  void publish() override {
    if (fail_publish) fail(ErrorCode::OUT10, "memory", {}, "rename failed");
    published = true;
  }
  void withdraw() noexcept override { published = false; }
  std::vector<std::string> paths() const override { return {"memory"}; }

  std::string bytes;
  std::uint64_t written = 0;
  std::optional<std::uint64_t> fail_at;
  bool fail_finish = false, fail_publish = false, published = false, out_of_order = false;

 private:
  bool in_order_;
  const Plan* plan_ = nullptr;
  std::uint64_t end_ = 0;
  std::mutex mutex_;
};

// Tensors of several kinds: many slabs, a row longer than a slab, none, one value.
struct Subject {
  std::shared_ptr<testing::MemorySource> source = std::make_shared<testing::MemorySource>();
  Model model;
  Plan plan;
  std::vector<std::unique_ptr<ImportanceEntry>> weights;

  void add(const std::string& name, const Shape& shape, DType type, bool weighted = false) {
    Random random(shape.values() + 1);
    std::vector<float> values(shape.values());
    for (float& x : values) x = random.normal();
    add_values(name, shape, type, values);
    if (!weighted) return;
    auto entry = std::make_unique<ImportanceEntry>();
    entry->name = name;
    entry->weights.resize(shape.row_values() * shape.matrices());
    for (float& x : entry->weights) x = std::fabs(random.normal());
    plan.files[0].tensors.back().importance = entry.get();
    weights.push_back(std::move(entry));
  }
  void add_values(const std::string& name, const Shape& shape, DType type,
                  const std::vector<float>& values) {
    std::string data(values.size() * sizeof(float), '\0');
    if (!values.empty()) std::memcpy(data.data(), values.data(), data.size());
    source->add(name, DType::f32, shape, data);
    ModelTensor tensor;
    tensor.name = name;
    tensor.shape = shape;
    tensor.stored_type = DType::f32;
    tensor.value = read_tensor(*source, source->tensors().size() - 1);
    tensor.source_tensors = {source->tensors().size() - 1};
    PlannedTensor planned;
    planned.model_tensor = model.tensors.size();
    planned.name = name;
    planned.shape = shape;
    planned.source_type = planned.stored_type = DType::f32;
    planned.type = type;
    planned.copied = type == DType::f32;
    planned.bytes = stored_bytes(type, shape.values());
    if (plan.files.empty()) plan.files.emplace_back();
    planned.offset = plan.files[0].data_bytes;
    plan.files[0].data_bytes += (planned.bytes + 31) / 32 * 32;
    plan.files[0].tensors.push_back(planned);
    model.tensors.push_back(std::move(tensor));
    model.source = source;
  }
};

Subject many_shapes() {
  Subject s;
  s.add("many_slabs", {2100, 768}, DType::q4_k);
  s.add("copied", {300, 1000}, DType::f32);
  s.add("long_row", {2, 1300000}, DType::q5_0, true);
  s.add("empty", {0, 32}, DType::q8_0);
  s.add("scalar", {}, DType::f32);
  s.add("experts", {5, 700, 256}, DType::q4_1, true);
  s.add("odd_row", {1, 33}, DType::f16);
  return s;
}

ErrorCode code_of(const Subject& s, MemorySink& sink, RunOptions options = {}) {
  Warnings warnings;
  const Output output{&s.plan, &sink};
  try {
    run(s.model, {&output, 1}, options, warnings);
  } catch (const Error& e) {
    return e.code();
  }
  return {};
}

TEST(Run, ThreadsChangeNeitherBytesNorFigures) {
  const Subject s = many_shapes();
  std::string bytes;
  std::vector<Report> reports;
  for (const unsigned threads : {1U, 2U, 3U, 7U}) {
    for (const bool in_order : {false, true}) {
      MemorySink sink(in_order);
      const Output output{&s.plan, &sink};
      Warnings warnings;
      RunOptions options;
      options.threads = threads;
      const std::vector<Report> now = run(s.model, {&output, 1}, options, warnings);
      EXPECT_TRUE(sink.published);
      EXPECT_FALSE(sink.out_of_order);
      if (reports.empty()) {
        bytes = sink.bytes;
        reports = now;
      }
      EXPECT_TRUE(sink.bytes == bytes) << threads << " threads";
      ASSERT_EQ(now[0].tensors.size(), reports[0].tensors.size());
      for (std::size_t t = 0; t < now[0].tensors.size(); ++t) {
        const ErrorStats& a = now[0].tensors[t].error;
        const ErrorStats& b = reports[0].tensors[t].error;
        EXPECT_EQ(a.sum_squared_error, b.sum_squared_error);
        EXPECT_EQ(a.sum_product, b.sum_product);
        EXPECT_EQ(a.max_abs_error, b.max_abs_error);
        EXPECT_EQ(a.values, b.values);
      }
    }
  }
  EXPECT_GT(reports[0].tensors[0].error.sum_squared_error, 0);
}

TEST(Run, RowsOfSeveralSlabsAreEncodedAsOneRow) {
  const Subject s = many_shapes();
  MemorySink sink;
  ASSERT_EQ(code_of(s, sink), ErrorCode{});
  const PlannedTensor& planned = s.plan.files[0].tensors[2];
  const std::uint64_t row = planned.shape.row_values();
  std::vector<float> values(row);
  s.source->read(2, row * sizeof(float), std::as_writable_bytes(std::span<float>(values)));
  const Quantizer& quantizer = *find_quantizer(planned.type);
  float sum = 0;
  quantizer.row_sum(values.data(), row, sum);
  const float statistic = quantizer.row_finish(sum, row);
  std::string expected(stored_bytes(planned.type, row), '\0');
  const EncodeInput input{values.data(), 1, row, planned.importance->weights.data(), &statistic};
  quantizer.encode(input, reinterpret_cast<std::byte*>(expected.data()));
  EXPECT_TRUE(expected == sink.bytes.substr(planned.offset + expected.size(), expected.size()));
}

TEST(Run, OutputsOfOneReadEqualThoseOfTheirOwn) {
  Subject a = many_shapes();
  Plan other = a.plan;
  other.files[0].tensors[0].type = DType::q6_k;
  other.files[0].data_bytes = 0;
  for (PlannedTensor& t : other.files[0].tensors) {
    t.bytes = stored_bytes(t.type, t.shape.values());
    t.offset = other.files[0].data_bytes;
    other.files[0].data_bytes += (t.bytes + 31) / 32 * 32;
  }
  MemorySink alone_a, alone_b, both_a, both_b;
  Warnings warnings;
  const Output first{&a.plan, &alone_a}, second{&other, &alone_b};
  run(a.model, {&first, 1}, {}, warnings);
  run(a.model, {&second, 1}, {}, warnings);
  const Output both[] = {{&a.plan, &both_a}, {&other, &both_b}};
  run(a.model, both, {}, warnings);
  EXPECT_TRUE(alone_a.bytes == both_a.bytes);
  EXPECT_TRUE(alone_b.bytes == both_b.bytes);
}

TEST(Run, NothingIsPublishedAfterAFailure) {
  const Subject s = many_shapes();
  MemorySink writing, syncing;
  writing.fail_at = 1000000;
  EXPECT_EQ(code_of(s, writing), ErrorCode::OUT07);
  EXPECT_FALSE(writing.published);
  syncing.fail_finish = true;
  EXPECT_EQ(code_of(s, syncing), ErrorCode::OUT09);
  EXPECT_FALSE(syncing.published);

  MemorySink first, last;
  last.fail_publish = true;
  Warnings warnings;
  const Output both[] = {{&s.plan, &first}, {&s.plan, &last}};
  EXPECT_THROW(run(s.model, both, {}, warnings), Error);
  EXPECT_FALSE(first.published);
}

TEST(Run, FailingStreamEndsWithAllThreads) {
  const Subject s = many_shapes();
  MemorySink sink(true);
  sink.fail_at = 1000000;
  RunOptions options;
  options.threads = 7;
  EXPECT_EQ(code_of(s, sink, options), ErrorCode::OUT07);
}

TEST(Run, StopLeavesNothingPublished) {
  const Subject s = many_shapes();
  const std::atomic<bool> stop{true};
  MemorySink sink;
  Warnings warnings;
  const Output output{&s.plan, &sink};
  RunOptions options;
  options.stop = &stop;
  EXPECT_THROW(run(s.model, {&output, 1}, options, warnings), Stopped);
  EXPECT_FALSE(sink.published);
}

TEST(Run, MemoryBelowTheMinimumIsRefusedAndTheMinimumWorks) {
  const Subject s = many_shapes();
  MemorySink sink;
  const Output output{&s.plan, &sink};
  RunOptions options;
  options.max_memory = minimum_memory(s.model, {&output, 1}, 1) - 1;
  EXPECT_EQ(code_of(s, sink, options), ErrorCode::USE03);
  ++options.max_memory;
  EXPECT_EQ(code_of(s, sink, options), ErrorCode{});
}

// Counts the workers by the threads that read.
class CountedSource final : public testing::MemorySource {
 public:
  void read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> into) const override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      readers_.insert(std::this_thread::get_id());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // so that every worker has its turn
    MemorySource::read(tensor, offset, into);
  }
  std::size_t readers() const { return readers_.size(); }
  void forget() { readers_.clear(); }

 private:
  mutable std::mutex mutex_;
  mutable std::set<std::thread::id> readers_;
};

TEST(Run, ManyThreadsUnderASmallCapAreAsManyAsFit) {
  const auto source = std::make_shared<CountedSource>();
  Subject s;
  s.source = source;
  s.add("rows", {8 * 1024, 1024}, DType::q8_0);
  std::string bytes;
  for (const unsigned fit : {1U, 3U}) {
    source->forget();
    MemorySink sink;
    const Output output{&s.plan, &sink};
    RunOptions options;
    options.threads = 1000;
    options.max_memory = minimum_memory(s.model, {&output, 1}, fit + 1) - 1;
    EXPECT_EQ(code_of(s, sink, options), ErrorCode{});
    EXPECT_LE(source->readers(), fit);
    if (bytes.empty()) bytes = sink.bytes;
    EXPECT_TRUE(sink.bytes == bytes);
  }
  EXPECT_EQ(source->readers(), 3U);
}

struct BadValue {
  float value;
  DType type;
  NonFinite policy;
  ErrorCode code;  // {}: written, with a warning if the value is not finite
};

TEST(Run, ValuesThatCannotBeHeldAreNamed) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float largest = std::numeric_limits<float>::max();
  const BadValue rows[] = {
      {nan, DType::q4_k, NonFinite::automatic, ErrorCode::QZ01},
      {infinity, DType::q8_0, NonFinite::automatic, ErrorCode::QZ01},
      {-infinity, DType::q4_0, NonFinite::keep, ErrorCode::QZ01},
      {nan, DType::f16, NonFinite::error, ErrorCode::QZ01},
      {nan, DType::f32, NonFinite::error, ErrorCode::QZ01},
      {nan, DType::f16, NonFinite::automatic, ErrorCode{}},
      {infinity, DType::bf16, NonFinite::automatic, ErrorCode{}},
      {nan, DType::f32, NonFinite::automatic, ErrorCode{}},
      {nan, DType::q6_k, NonFinite::zero, ErrorCode{}},
      {1e30F, DType::f16, NonFinite::automatic, ErrorCode::QZ02},
      {largest, DType::bf16, NonFinite::automatic, ErrorCode::QZ02},
      {largest, DType::q8_0, NonFinite::automatic, ErrorCode::QZ02},
      {largest, DType::q4_k, NonFinite::automatic, ErrorCode::QZ02},
      {1e-40F, DType::q4_k, NonFinite::automatic, ErrorCode{}},
  };
  constexpr std::uint64_t kBad = 800000;
  for (const BadValue& row : rows) {
    Subject s;
    s.add("sound", {1, 512}, DType::f32);
    std::vector<float> values(1024 * 1024, 0.5F);
    values[kBad] = row.value;
    s.add_values("bad", {1024, 1024}, row.type, values);
    s.plan.nonfinite = row.policy;
    MemorySink sink;
    Warnings warnings;
    const Output output{&s.plan, &sink};
    const std::string label = std::string(info(row.type).name) + " " + std::to_string(row.value);
    const std::uint64_t place = s.source->tensors()[1].data_offset + kBad * sizeof(float);
    try {
      run(s.model, {&output, 1}, {}, warnings);
      EXPECT_EQ(row.code, ErrorCode{}) << label;
      ASSERT_EQ(warnings.entries().size(), std::isfinite(row.value) ? 0U : 1U) << label;
      for (const Warnings::Entry& entry : warnings.entries())
        EXPECT_EQ(entry.first.offset, place) << label;
    } catch (const Error& e) {
      EXPECT_EQ(code_name(e.code()), code_name(row.code)) << label;
      EXPECT_EQ(e.problem().offset, place) << label << ": " << e.what();
      EXPECT_FALSE(sink.published);
    }
  }
}

}  // namespace
}  // namespace quantize::test
