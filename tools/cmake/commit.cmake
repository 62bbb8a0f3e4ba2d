# Writes a source that names the checked-out commit: -DSOURCE=ROOT -DOUTPUT=FILE. Outside of a
# checkout of its own (a release archive, perhaps inside another repository) it is "unknown".
cmake_policy(VERSION 3.25)
set(commit "unknown")
if(EXISTS ${SOURCE}/.git)
  execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    set(commit "${found}")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT "namespace quantize::cli {
extern const char* const kCommit;
const char* const kCommit = \"@commit@\";
}  // namespace quantize::cli
")
