# Read by ctest when it starts: adds one test for each test case of `program`, named "<layer>: <test case>".
# Listing when ctest starts, not when the program is linked, keeps builds short and always matches the program.
cmake_policy(VERSION 3.25)

if(NOT EXISTS "${program}")
  add_test("${layer}: not built" "${program}")
  return()
endif()

# Catch2 exits with the number of tests listed.
execute_process(COMMAND "${program}" --list-test-names-only OUTPUT_VARIABLE names ERROR_VARIABLE errors)
execute_process(COMMAND "${program}" "[slow]" --list-test-names-only OUTPUT_VARIABLE slow_names ERROR_VARIABLE ignored)
if(names STREQUAL "")
  message(FATAL_ERROR "${program} lists no tests: ${errors}")
endif()
# Semicolons and brackets in names would split or join the entries of a CMake list.
foreach(variable names slow_names)
  string(REPLACE ";" "<semicolon>" ${variable} "${${variable}}")
  string(REPLACE "[" "<open>" ${variable} "${${variable}}")
  string(REPLACE "]" "<close>" ${variable} "${${variable}}")
  string(REGEX REPLACE "\n+$" "" ${variable} "${${variable}}")
  string(REPLACE "\n" ";" ${variable} "${${variable}}")
endforeach()
foreach(name IN LISTS names)
  set(labels "${layer}")
  set(cost 1)
  if(name IN_LIST slow_names)
    list(APPEND labels slow)
    set(cost 100)  # as in HoneTests.cmake
  endif()
  string(REPLACE "<semicolon>" ";" name "${name}")
  string(REPLACE "<open>" "[" name "${name}")
  string(REPLACE "<close>" "]" name "${name}")
  # In a test specification of Catch2 these characters have a meaning.
  set(spec "${name}")
  foreach(character "\\" "," "[" "]")
    string(REPLACE "${character}" "\\${character}" spec "${spec}")
  endforeach()
  add_test("${layer}: ${name}" "${program}" --warn NoTests "${spec}")
  set_tests_properties("${layer}: ${name}" PROPERTIES TIMEOUT 600 COST ${cost} LABELS "${labels}")
endforeach()
