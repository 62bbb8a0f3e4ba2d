// Plans as one screen for people and one document for programs:
//
//   { "schema": "quantize-plan-1", "path", "model", "architecture", "source_format",
//     "source_bytes", "notes": [...],
//     "plans": [{ "target", "preset", "bytes", "bits_per_weight", "ratio", "values",
//                 "missing_importance",
//                 "files": [{ "bytes", "header_bytes" }],
//                 "memory": null | { "context", "weights", "cache", "compute", "total",
//                                    "fits": null | b },
//                 "types": [{ "type", "tensors", "values", "bytes" }],
//                 "substitutions": [{ "wanted", "type", "reason", "tensors", "values" }],
//                 "tensors": [{ "name", "shape", "source_type", "type", "bytes", "offset",
//                               "rule", "wanted" }] }] }
#include <algorithm>
#include <ostream>

#include "quantize/escape.hpp"
#include "quantize/memory.hpp"
#include "quantize/plan_text.hpp"

#include "report/json_values.hpp"
#include "report/numbers.hpp"
#include "report/summary.hpp"
#include "report/table.hpp"

namespace quantize {
namespace {

using report::fixed;
using report::grouped;
using report::megabytes;
using report::Object;
using report::percent;
using report::Summary;

std::string type_name(DType type) { return std::string(info(type).name); }

// "Q4_0 (int4)": the label with the friendly names that stand for it.
std::string label_text(const Target& target) {
  std::string names;
  for (const TargetAlias& alias : target_aliases()) {
    if (target.preset != nullptr && !target.pure && alias.preset == target.preset->name) {
      names += (names.empty() ? " (" : ", ") + std::string(alias.name);
    }
  }
  return escape(target.label) + names + (names.empty() ? "" : ")");
}

std::string types_text(const Summary& summary) {
  std::string text;
  for (const report::TypeShare& share : summary.types) {
    text += (text.empty() ? "" : " ") + share.type_name + ":" + std::to_string(share.tensors);
  }
  return text;
}

void write_substitutions(const Plan& plan, const Summary& summary, std::ostream& out) {
  for (const report::Substitution& s : summary.substitutions) {
    out << "  " << escape(plan.target.label) << ": " << type_name(s.wanted) << " -> "
        << type_name(s.type) << " in " << s.tensors << (s.tensors == 1 ? " tensor, " : " tensors, ")
        << percent(s.values, plan.values) << " of the weights: " << escape(s.reason) << '\n';
  }
}

void write_tensors(const Plan& plan, std::ostream& out) {
  out << "\n  " << escape(plan.target.label) << '\n';
  report::Table table;
  table.row({"  tensor", "shape", "from", "to", "bytes", "rule"});
  for (const PlannedFile& file : plan.files) {
    for (const PlannedTensor& tensor : file.tensors) {
      table.row({"  " + escape(tensor.name), tensor.shape.text(), type_name(tensor.source_type),
                 std::string(tensor.type_name()), grouped(tensor.bytes), escape(tensor.rule)});
    }
  }
  table.print(out);
}

bool fits(const MemoryEstimate& memory, const PlanTextOptions& options) {
  return memory.total() <= options.ram;
}

// Other loaders than llama.cpp have other habits.
bool has_memory(const Plan& plan) { return !plan.target.checkpoint; }

// What each takes to run; with --ram also whether it fits.
void write_memory(std::span<const ModelPlan> plans, const PlanTextOptions& options,
                  std::ostream& out) {
  const auto gguf = std::find_if(plans.begin(), plans.end(),
                                 [](const ModelPlan& p) { return has_memory(*p.plan); });
  if (!options.memory || gguf == plans.end()) return;
  const MemoryEstimate first = estimate_memory(*gguf->plan, options.context);
  out << "\nto run with a context of " << grouped(first.context)
      << " tokens: weights, cache of keys and values, about so much for computing\n";
  report::Table table;
  std::vector<std::string> head = {"target", "weights", "cache", "compute", "memory"};
  if (options.ram != 0) head.push_back("in " + megabytes(options.ram));
  table.row(std::move(head));
  for (const auto& [model, planned] : plans) {
    const Plan& plan = *planned;
    if (!has_memory(plan)) continue;
    const MemoryEstimate memory = estimate_memory(plan, options.context);
    std::vector<std::string> row = {escape(plan.target.label), megabytes(memory.weights),
                                    megabytes(memory.cache), megabytes(memory.compute),
                                    megabytes(memory.total())};
    if (options.ram != 0) row.emplace_back(fits(memory, options) ? "fits" : "-");
    table.row(std::move(row));
  }
  table.print(out);
}

void write_text(const Model& model, std::span<const ModelPlan> plans,
                const PlanTextOptions& options, std::ostream& out) {
  std::vector<Summary> summaries;
  for (const ModelPlan& p : plans)
    summaries.push_back(report::summarize(make_report(*p.model, *p.plan), 0));
  std::uint64_t source_bytes = 0;
  for (const SourceFile& file : model.source->files()) source_bytes += file.bytes;
  out << "model   " << escape(model.name) << " (" << escape(model.architecture) << ", "
      << escape(model.source->format()) << "), " << megabytes(source_bytes) << '\n';
  if (!plans.empty()) out << "weights " << grouped(plans[0].plan->values) << '\n';
  for (const std::string& note : report::source_notes(*model.source))
    out << escape(note, 400) << '\n';
  out << '\n';

  report::Table table;
  table.row({"target", "bytes", "size", "bits/weight", "of source", "pieces", "substituted",
             "tensors by type"});
  bool any = false, unweighted = false;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const Plan& plan = *plans[i].plan;
    std::uint64_t substituted = 0;
    for (const report::Substitution& s : summaries[i].substitutions) substituted += s.values;
    any = any || substituted != 0;
    const bool marked = plan.missing_importance != 0;
    unweighted = unweighted || marked;
    table.row({label_text(plan.target) + (marked ? " *" : ""), grouped(plan.bytes()),
               megabytes(plan.bytes()), fixed(plan.bits_per_weight(), 2),
               percent(plan.bytes(), source_bytes), std::to_string(plan.files.size()),
               percent(substituted, plan.values), types_text(summaries[i])});
  }
  table.print(out);
  if (unweighted) out << "\n* needs importance weights (--imatrix)\n";
  if (any) out << "\nsubstitutions, because of shapes\n";
  for (std::size_t i = 0; i < plans.size(); ++i)
    write_substitutions(*plans[i].plan, summaries[i], out);
  write_memory(plans, options, out);
  if (options.tensors) {
    for (const ModelPlan& p : plans) write_tensors(*p.plan, out);
  }
}

Object memory_object(const Plan& plan, const PlanTextOptions& options) {
  if (!options.memory || !has_memory(plan)) return nullptr;
  const MemoryEstimate memory = estimate_memory(plan, options.context);
  return {{"context", memory.context},
          {"weights", memory.weights},
          {"cache", memory.cache},
          {"compute", memory.compute},
          {"total", memory.total()},
          {"fits", options.ram != 0 ? Object(fits(memory, options)) : Object(nullptr)}};
}

Object plan_object(const Model& model, const Plan& plan, const PlanTextOptions& options) {
  const Report report = make_report(model, plan);
  const Summary summary = report::summarize(report, 0);
  Object files = Object::array();
  Object tensors = Object::array();
  for (const PlannedFile& file : plan.files) {
    files.push_back({{"bytes", file.bytes()}, {"header_bytes", file.header_bytes}});
    for (const PlannedTensor& tensor : file.tensors) {
      Object shape = Object::array();
      for (const std::uint64_t dimension : tensor.shape.dims()) shape.push_back(dimension);
      tensors.push_back(
          {{"name", report::string(tensor.name)},
           {"shape", std::move(shape)},
           {"source_type", info(tensor.source_type).name},
           {"type", tensor.type_name()},
           {"bytes", tensor.bytes},
           {"offset", tensor.offset},
           {"rule", report::string(tensor.rule)},
           {"wanted", tensor.wanted ? Object(info(*tensor.wanted).name) : Object(nullptr)}});
    }
  }
  return Object{{"target", report::string(plan.target.label)},
                {"preset", plan.target.preset ? Object(plan.target.preset->name) : Object(nullptr)},
                {"bytes", plan.bytes()},
                {"bits_per_weight", report::number(plan.bits_per_weight())},
                {"ratio", report::number(summary.ratio)},
                {"values", plan.values},
                {"missing_importance", plan.missing_importance},
                {"files", std::move(files)},
                {"memory", memory_object(plan, options)},
                {"types", report::types_array(summary)},
                {"substitutions", report::substitutions_array(summary)},
                {"tensors", std::move(tensors)}};
}

void write_json(const Model& model, std::span<const ModelPlan> plans,
                const PlanTextOptions& options, std::ostream& out) {
  std::uint64_t source_bytes = 0;
  for (const SourceFile& file : model.source->files()) source_bytes += file.bytes;
  Object list = Object::array(), notes = Object::array();
  for (const std::string& note : report::source_notes(*model.source))
    notes.push_back(report::string(note));
  for (const ModelPlan& p : plans) list.push_back(plan_object(*p.model, *p.plan, options));
  const Object document = {{"schema", "quantize-plan-1"},
                           {"path", report::string(model.source->path())},
                           {"model", report::string(model.name)},
                           {"architecture", report::string(model.architecture)},
                           {"source_format", model.source->format()},
                           {"source_bytes", source_bytes},
                           {"notes", std::move(notes)},
                           {"plans", std::move(list)}};
  out << document.dump(1, ' ', true) << '\n';
}

}  // namespace

void write_plan(const Model& model, std::span<const ModelPlan> plans,
                const PlanTextOptions& options, std::ostream& out) {
  if (options.json) {
    write_json(model, plans, options, out);
  } else {
    write_text(model, plans, options, out);
  }
}

}  // namespace quantize
