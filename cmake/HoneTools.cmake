# The command: one binary, also under one name a tool.
find_package(CLI11 REQUIRED CONFIG)
file(GLOB hone_tool_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tools/*.cpp")
set(hone_commands convert prune quantize finetune validate bench run inspect)

add_executable(hone_tool ${hone_tool_sources})
set_target_properties(hone_tool PROPERTIES OUTPUT_NAME hone INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
target_link_libraries(hone_tool PRIVATE
  hone::hone hone_compiler CLI11::CLI11 fmt::fmt nlohmann_json::nlohmann_json)
# Nothing here takes time but to compile.
target_compile_options(hone_tool PRIVATE $<$<CONFIG:Release>:-O1>)
hone_precompile(hone_tool <nlohmann/json.hpp>)
hone_unity(hone_tool)
if(HONE_SANITIZED)
  target_sources(hone_tool PRIVATE "${PROJECT_SOURCE_DIR}/tests/testing/sanitizers.cpp")
  set_source_files_properties("${PROJECT_SOURCE_DIR}/tests/testing/sanitizers.cpp" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endif()
foreach(command IN LISTS hone_commands)
  add_custom_command(TARGET hone_tool POST_BUILD VERBATIM
    COMMAND ${CMAKE_COMMAND} -E create_symlink hone "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/hone-${command}")
endforeach()
