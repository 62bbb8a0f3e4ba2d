// The main job. All inputs are opened, validated and planned before anything is created; then they
// are converted in order, all outputs of one input from one read of it.
#include <chrono>
#include <sstream>

#include <spdlog/spdlog.h>

#include "commands.hpp"
#include "outputs.hpp"
#include "process.hpp"
#include "progress.hpp"

namespace quantize::cli {
namespace {

// One input on its way. Pieces of it are referred to by address: it stays where it was made.
struct Job {
  std::string input;
  Warnings warnings;
  OpenedInput opened;
  std::vector<Plan> plans;         // one per target
  std::vector<std::string> paths;  // of the outputs, by plan
  InputReport report;
  bool failed = false;
};

const Model& model_for(const Request& request, Job& job, const Target& target) {
  return job.opened.model_for(request, job.input, target, job.warnings);
}

void prepare(const Request& request, const std::shared_ptr<const ImportanceData>& importance,
             Job& job) {
  job.report.path = job.input;
  apply_strict(request, job.warnings);
  for (const Target& target : request.targets) {
    const Model& model = model_for(request, job, target);
    job.plans.push_back(make_plan(model, recipe_for(request, target, importance), job.warnings));
    job.paths.push_back(output_path(request, model, target));
  }
}

class Conversion {
 public:
  explicit Conversion(const Request& request) : request_(request) {}

  int run() {
    prepare_all();
    if (stopped()) return failures_.status();
    check_names();
    create_reports();
    for (const auto& job : jobs_) {
      if (stopped()) break;
      if (!job->failed) execute(*job);
    }
    finish();
    return failures_.status();
  }

 private:
  bool stopped() const { return request_.fail_fast && failures_.status() != 0; }

  void fail_job(Job& job, const Error& error, const char* after) {
    failures_.add(error, after);
    job.failed = true;
    job.report.error = error.problem();
    job.report.warnings = job.warnings.entries();
  }

  void prepare_all() {
    const auto importance = load_importance_option(request_);
    for (const std::string& input : request_.inputs) {
      if (stopped()) return;
      jobs_.push_back(std::make_unique<Job>());
      jobs_.back()->input = input;
      try {
        prepare(request_, importance, *jobs_.back());
      } catch (const Error& error) {
        fail_job(*jobs_.back(), error, "");
      }
    }
  }

  // Over all inputs, so that nothing of one is lost to another.
  void check_names() {
    NamedPaths names;
    names.reports = request_.reports;
    for (const auto& job : jobs_) {
      if (job->failed) continue;
      names.outputs.insert(names.outputs.end(), job->paths.begin(), job->paths.end());
      for (const auto* model : {&job->opened.converted, &job->opened.unconverted}) {
        if (!*model) continue;
        for (const SourceFile& file : (*model)->source->files()) {
          names.inputs.push_back(file.path);
          sources_.push_back(file);
        }
      }
    }
    check_distinct(names);
  }

  void create_reports() {
    Warnings warnings;
    for (const std::string& path : request_.reports) {
      files_.emplace_back(path, request_.if_exists != IfExists::fail, warnings);
    }
    log_warnings(warnings);
  }

  void write_report_files() {
    std::vector<InputReport> done;
    for (const auto& job : jobs_) {
      if (job->failed || !job->report.outputs.empty()) done.push_back(job->report);
    }
    for (TextFile& file : files_) {
      std::ostringstream text;
      write_reports(done, report_format_of(file.path()), text);
      file.write(text.str());
    }
  }

  // The outputs of `job` that are still to be made; the others are in its report as they are.
  std::vector<std::size_t> wanted_outputs(Job& job) const {
    std::vector<std::size_t> wanted;
    for (std::size_t i = 0; i < job.plans.size(); ++i) {
      if (request_.if_exists != IfExists::skip || !output_matches(job.paths[i], job.plans[i])) {
        wanted.push_back(i);
        continue;
      }
      Report kept = make_report(model_for(request_, job, job.plans[i].target), job.plans[i]);
      kept.files.push_back({job.paths[i], job.plans[i].bytes()});
      kept.notes.emplace_back(
          "kept: the file has the planned size and header; its weights were not compared");
      job.report.outputs.push_back(std::move(kept));
    }
    return wanted;
  }

  void execute(Job& job) {
    const char* after = "; nothing was written";
    try {
      const std::vector<std::size_t> wanted = wanted_outputs(job);
      std::vector<std::size_t> files, directories;
      for (const std::size_t i : wanted)
        (job.plans[i].target.checkpoint ? directories : files).push_back(i);
      for (const auto& outputs : {files, directories}) {
        if (outputs.empty()) continue;
        const Model& model = model_for(request_, job, job.plans[outputs.front()].target);
        convert_outputs(job, model, outputs, after);
      }
      job.report.warnings = job.warnings.entries();
      log_warnings(job.warnings);
      if (!request_.quiet && !request_.json && request_.output != "-") {
        std::ostringstream text;
        write_reports({&job.report, 1}, "txt", text);
        print((printed_ ? "\n" : "") + text.str());
        printed_ = true;
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::OUT11) throw;
      log_warnings(job.warnings);
      fail_job(job, error, after);
    }
  }

  void convert_outputs(Job& job, const Model& model, const std::vector<std::size_t>& wanted,
                       const char*& after) {
    SinkOptions sink_options;
    sink_options.if_exists =
        request_.if_exists == IfExists::skip ? IfExists::fail : request_.if_exists;
    sink_options.verify = request_.verify;
    sink_options.inputs = sources_;
    sink_options.stop = &stop_flag();
    std::vector<std::unique_ptr<Sink>> sinks;
    std::vector<Output> outputs;
    for (const std::size_t i : wanted) {
      sinks.push_back(job.paths[i] == "-" ? make_stdout_sink(sink_options)
                      : job.plans[i].target.checkpoint
                          ? make_directory_sink(job.paths[i], sink_options, job.warnings)
                          : make_file_sink(job.paths[i], sink_options, job.warnings));
      outputs.push_back({&job.plans[i], sinks.back().get()});
    }

    ProgressLine progress(request_.progress);
    RunOptions options = request_.run;
    options.stop = &stop_flag();
    if (progress.shown()) options.on_progress = [&](const Progress& p) { progress.update(p); };
    options.before_publish = [&](std::span<const Report> reports) {
      job.report.outputs.insert(job.report.outputs.end(), reports.begin(), reports.end());
      job.report.warnings = job.warnings.entries();
      write_report_files();
      after = "";  // from here on the sinks know what remains
    };
    const auto start = std::chrono::steady_clock::now();
    quantize::run(model, outputs, options, job.warnings);
    progress.clear();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    spdlog::info("info: {}: {} {} in {:.2f} s", escape(job.input), wanted.size(),
                 wanted.size() == 1 ? "output" : "outputs", seconds.count());
  }

  void finish() {
    std::vector<InputReport> all;
    bool any = false;
    for (const auto& job : jobs_) {
      all.push_back(job->report);
      any = any || !job->failed;
    }
    if (!any) return;
    if (!files_.empty()) write_report_files();
    for (TextFile& file : files_) file.publish();
    if (request_.json) {
      std::ostringstream text;
      write_reports(all, "json", text);
      print(text.str());
    }
  }

  const Request& request_;
  Failures failures_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<SourceFile> sources_;
  std::vector<TextFile> files_;
  bool printed_ = false;
};

}  // namespace

int convert(const Request& request) {
  if (request.dry_run || request.explain) return plan(request);
  return Conversion(request).run();
}

}  // namespace quantize::cli
