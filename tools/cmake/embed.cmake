# embed_text_files(OUTPUT x.cpp NAME table FILES a.json b.json): a C++ file that defines
#   extern const EmbeddedText table[]; extern const std::size_t table_count;
# (src/core/embedded.hpp), one row per file: its stem and its text.
function(embed_text_files)
  cmake_parse_arguments(arg "" "OUTPUT;NAME" "FILES" ${ARGN})
  list(SORT arg_FILES)
  add_custom_command(
    OUTPUT ${arg_OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${arg_OUTPUT} -DNAME=${arg_NAME} "-DFILES=${arg_FILES}"
            -P ${PROJECT_SOURCE_DIR}/tools/cmake/embed_script.cmake
    DEPENDS ${arg_FILES} ${PROJECT_SOURCE_DIR}/tools/cmake/embed_script.cmake
    VERBATIM)
endfunction()
