// ONNX's text syntax, by ONNX's own parser and printer.
#pragma once

#include <string>
#include <string_view>

#include "hone/ir/model.h"
#include "hone/onnx/read.h"

namespace hone::onnx {

ir::Model parse_text(std::string_view text, const std::string& name, const ReadOptions& options);

}  // namespace hone::onnx
