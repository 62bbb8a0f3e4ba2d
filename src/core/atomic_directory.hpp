// A directory of files that appears under its name complete or not at all.
#pragma once

#include <string>

#include "core/temporary.hpp"

namespace quantize {

class AtomicDirectory {
 public:
  // Creates an empty directory beside `path`. With `replace`, publish() takes the place of an
  // existing one. OUT01, OUT05 to OUT08, OUT14.
  AtomicDirectory(const std::string& path, bool replace, Warnings& warnings);
  ~AtomicDirectory();  // removes what is unpublished, or what was replaced
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  // Where its files are made.
  std::string temporary_path() const { return place_.parent() + '/' + temporary_; }
  // Gives the directory its mode and its name, and syncs its parent. OUT02, OUT10, OUT09.
  void publish();
  // Undoes publish(): what was replaced is back.
  void withdraw() noexcept;

 private:
  int rename(const std::string& from, const std::string& to, unsigned how) const noexcept;
  void exchange();

  std::string path_;
  OutputPlace place_;
  bool replace_ = false;
  int descriptor_ = -1;  // of the directory itself: carries its lock
  std::string temporary_;
  NamedTemporary* registered_ = nullptr;
  bool published_ = false, replaced_ = false;
};

}  // namespace quantize
