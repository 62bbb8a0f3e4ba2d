# QUANTIZE_SANITIZE=address,undefined or =thread, for the whole build.
if(QUANTIZE_SANITIZE)
  add_compile_options(-fsanitize=${QUANTIZE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # Instrumented, GCC 12 sees uninitialized members inside its own <regex>.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
  add_link_options(-fsanitize=${QUANTIZE_SANITIZE})
endif()
# Coverage feedback for fuzz targets, in all code they call.
if(QUANTIZE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
