# The flags of every target in the project, as one interface target.
include(CheckCXXCompilerFlag)
add_library(quantize_warnings INTERFACE)

# Bits first: a fused multiply-add would change the quantized bytes (src/README.md, "Exactness").
target_compile_options(quantize_warnings INTERFACE -ffp-contract=off)

set(wanted -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Wcast-align -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2 -Wimplicit-fallthrough -Wundef
    -Wdouble-promotion -Wduplicated-cond -Wlogical-op)
if(QUANTIZE_WERROR)
  list(APPEND wanted -Werror)
endif()
# GCC 12 sees overlapping copies in sums of std::string where there are none (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND wanted -Wno-restrict)
endif()
foreach(flag IN LISTS wanted)
  string(MAKE_C_IDENTIFIER "QUANTIZE_HAS${flag}" have)
  check_cxx_compiler_flag(${flag} ${have})
  if(${have})
    target_compile_options(quantize_warnings INTERFACE ${flag})
  endif()
endforeach()
