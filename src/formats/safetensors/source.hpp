// One or more safetensors files as a Source.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/source.hpp"

#include "core/input_file.hpp"
#include "formats/safetensors/header.hpp"

namespace quantize::safetensors {

struct Member {
  std::unique_ptr<InputFile> file;
  Header header;
};

// Reads and checks the header of an opened file.
Member read_member(std::unique_ptr<InputFile> file, Warnings& warnings,
                   ErrorCode other_kind = ErrorCode::ST07);

// The members' tensors one after the other, each member's in the order that its header has.
std::shared_ptr<const Source> make_source(std::string_view format, std::string path,
                                          std::vector<Member> members);

}  // namespace quantize::safetensors
