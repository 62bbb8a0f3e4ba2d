// The writers behind the registry, one per format.
#pragma once

#include <iosfwd>
#include <span>
#include <string>

#include "quantize/report.hpp"

namespace quantize::report {

void write_text(std::span<const InputReport> inputs, std::ostream& out);
void write_json(std::span<const InputReport> inputs, std::ostream& out);
void write_csv(std::span<const InputReport> inputs, std::ostream& out);
void write_markdown(std::span<const InputReport> inputs, std::ostream& out);

}  // namespace quantize::report
