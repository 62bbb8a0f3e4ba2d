// What outputs are called until they are complete: ".NAME.<16 digits>.quantize-tmp", beside the
// final name and locked by the run that makes them, so that leftovers of killed runs can be told.
// Those that exist are also known to remove_temporaries(), which a signal handler calls.
#pragma once

#include <string>

#include "quantize/error.hpp"

namespace quantize {

// Where an output goes, in parts. USE06, OUT01, OUT04, OUT14.
class OutputPlace {
 public:
  explicit OutputPlace(const std::string& path);
  ~OutputPlace();
  OutputPlace(const OutputPlace&) = delete;
  OutputPlace& operator=(const OutputPlace&) = delete;

  int directory() const noexcept { return directory_; }  // open
  const std::string& parent() const noexcept { return parent_; }
  const std::string& name() const noexcept { return name_; }

 private:
  int directory_ = -1;
  std::string parent_, name_;
};

// Another name in each call.
std::string temporary_name(const std::string& name);

// The umask of the process, read once: reading it means setting it.
unsigned process_umask();

// An entry of the list behind remove_temporaries(): made before the temporary, and ended after it.
struct NamedTemporary;
NamedTemporary* remember_temporary(int directory, const std::string& name, bool is_directory);
void forget_temporary(NamedTemporary* entry) noexcept;

// Removes temporaries at `place` whose runs were killed: nobody holds their lock, and they are
// older than ten minutes. Each is one warning about `path`.
void remove_stale_temporaries(const OutputPlace& place, const std::string& path,
                              Warnings& warnings);

}  // namespace quantize
