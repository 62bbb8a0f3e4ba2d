// quantize inspect: header, metadata and tensors of any input.
#include <sstream>

#include "commands.hpp"
#include "process.hpp"
#include "progress.hpp"

namespace quantize::cli {

int inspect(const Request& request) {
  Failures failures;
  Documents documents("quantize-inspect-set-1", request.inputs.size());
  for (const std::string& input : request.inputs) {
    try {
      Warnings warnings;
      apply_strict(request, warnings);
      const auto source = open_source(input, request.open, warnings);
      log_warnings(warnings);
      std::ostringstream out;
      write_inspection(*source, {request.json, request.full}, out);
      if (request.json) {
        documents.add(out.str());
      } else if (!request.quiet) {
        print(out.str());
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::OUT11) throw;
      failures.add(error);
      documents.add(input, error.problem());
    }
  }
  documents.print();
  return failures.status();
}

}  // namespace quantize::cli
