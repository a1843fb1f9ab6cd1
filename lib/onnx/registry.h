// ONNX's operator schemas, each made when it is first asked for. ONNX's own registry stays empty, except for the version
// converter, which wants all of them: see register_everything().
#pragma once

#include <onnx/defs/schema.h>

#include <string>
#include <string_view>

namespace hone::onnx {

// The newest schema of the operator that is no newer than `version`; null if there is none. For several threads at once.
const ::onnx::OpSchema* find_op_schema(std::string_view op_type, std::string_view domain, std::int64_t version);

// For functions of ONNX that look schemas up themselves.
const ::onnx::ISchemaRegistry& lazy_registry();

// Fills ONNX's own registry with every version of every schema: 14 ms, once.
void register_everything();

}  // namespace hone::onnx
