#include "support/scratch.hpp"

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace quantize::testing {

Scratch::Scratch() {
  std::string form = std::filesystem::temp_directory_path() / "quantize-test-XXXXXX";
  if (!::mkdtemp(form.data())) throw std::runtime_error("cannot make a folder for a test");
  path_ = form;
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Scratch::write(std::string_view name, std::string_view bytes) const {
  const std::string path = file(name);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
  return path;
}

}  // namespace quantize::testing
