# `cmake --install` gives the commands, the library, and what find_package(hone) needs to link it.
include(CMakePackageConfigHelpers)

install(TARGETS hone_tool RUNTIME)
foreach(command IN LISTS hone_commands)
  install(FILES "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/hone-${command}" TYPE BIN)  # a link; it stays one
endforeach()
if(HONE_ONEDNN)
  # Beside the commands, where their run path finds it without the prefix of scripts/setup.
  get_target_property(dnnl_file DNNL::dnnl LOCATION)
  get_filename_component(dnnl_folder "${dnnl_file}" DIRECTORY)
  install(FILES "${dnnl_file}" "${dnnl_folder}/libdnnl.so.3" TYPE LIB)
endif()

install(TARGETS hone EXPORT honeTargets ARCHIVE)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/hone" TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" TYPE DOC)

set(hone_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/hone")
install(EXPORT honeTargets NAMESPACE hone:: DESTINATION "${hone_config_dir}")
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/honeConfig.cmake.in" "${PROJECT_BINARY_DIR}/honeConfig.cmake"
  INSTALL_DESTINATION "${hone_config_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/honeConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/honeConfig.cmake" "${PROJECT_BINARY_DIR}/honeConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/HoneDependencies.cmake"
  DESTINATION "${hone_config_dir}")
