# Every *.simd.cpp, once per instruction set. A row is an instruction set: its name (isa/<name>.hpp),
# what the CPU must offer, and the compiler flags. Best first.
#
# Contraction stays off (tools/cmake/warnings.cmake); no link-time optimization, which would move code
# between files whose flags differ on purpose.
file(GLOB_RECURSE simd_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/quant/*.simd.cpp)
# Lanes and small counts are int here; GCC 12 warns of every array bound that a template computes.
set_source_files_properties(${simd_sources} PROPERTIES COMPILE_OPTIONS -Wno-sign-conversion)
set(isa_rows "")

function(kernel_target name)
  cmake_parse_arguments(arg "" "PROBE" "FLAGS" ${ARGN})
  add_library(kernels_${name} OBJECT ${simd_sources})
  target_include_directories(kernels_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(kernels_${name} PRIVATE
    QUANTIZE_ISA=${name} QUANTIZE_ISA_HEADER="quant/kernels/isa/${name}.hpp")
  # Kernels throw nothing; what would handle it needs a weak symbol.
  target_compile_options(kernels_${name} PRIVATE ${arg_FLAGS} -fno-exceptions -fno-math-errno -fno-trapping-math)
  # -O3 in every configuration but sanitizers': unoptimized vector code is unusably slow.
  if(NOT QUANTIZE_SANITIZE)
    target_compile_options(kernels_${name} PRIVATE -O3)
  endif()
  # GCC 12 sees uninitialized variables in its own AVX-512 header.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(kernels_${name} PRIVATE -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
  target_link_libraries(kernels_${name} PRIVATE quantize_warnings)
  target_sources(quantize PRIVATE $<TARGET_OBJECTS:kernels_${name}>)
  set(isa_rows "${isa_rows}QUANTIZE_ISA_ROW(${name}, ${arg_PROBE})\n" PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  kernel_target(avx512
    PROBE "__builtin_cpu_supports(\"avx512bw\") && __builtin_cpu_supports(\"avx512dq\") && __builtin_cpu_supports(\"avx512vl\")"
    FLAGS -mavx512f -mavx512bw -mavx512dq -mavx512vl)
  kernel_target(avx2 PROBE "__builtin_cpu_supports(\"avx2\")" FLAGS -mavx2)
  kernel_target(sse2 PROBE true)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  kernel_target(neon PROBE true)
endif()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/quant/isa_rows.def CONTENT "@isa_rows@" @ONLY)
target_include_directories(quantize PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
