# A table of the functions in ONNX that make one operator schema each, taken from ONNX's headers: lib/onnx/registry.cpp
# makes those schemas only that somebody asks for. All of them would cost every start of a command 14 ms.
get_target_property(hone_onnx_includes ONNX::onnx INTERFACE_INCLUDE_DIRECTORIES)
find_path(hone_onnx_defs onnx/defs/operator_sets.h PATHS ${hone_onnx_includes} NO_DEFAULT_PATH NO_CACHE REQUIRED)
set(hone_operators "")
foreach(header operator_sets operator_sets_ml operator_sets_preview)
  file(STRINGS "${hone_onnx_defs}/onnx/defs/${header}.h" lines REGEX "GetOpSchema<")
  foreach(line IN LISTS lines)
    # fn(GetOpSchema<ONNX_OPERATOR_SET_SCHEMA_CLASS_NAME(Onnx, 13, Relu)>());
    if(NOT line MATCHES "GetOpSchema<([A-Z_]+)\\(([A-Za-z]+, )?([0-9]+), ([A-Za-z0-9]+)\\)>")
      message(FATAL_ERROR "${header}.h of ONNX has a line that is not understood: ${line}")
    endif()
    string(APPEND hone_operators
      "{\"${CMAKE_MATCH_4}\", ${CMAKE_MATCH_3}, &::onnx::GetOpSchema<::onnx::${CMAKE_MATCH_1}(${CMAKE_MATCH_2}${CMAKE_MATCH_3}, ${CMAKE_MATCH_4})>},\n")
  endforeach()
endforeach()
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/generated/onnx_operators.inc" CONTENT "${hone_operators}" @ONLY)
