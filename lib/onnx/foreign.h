// What a file is that is no ONNX model.
#pragma once

#include <string>

#include "hone/support/file.h"

namespace hone::onnx {

// For a message after "... is not an ONNX model but ": "a Git LFS pointer; fetch the file itself with `git lfs pull`". Empty
// where nothing is recognized.
std::string foreign_format(const File& file);
// ONNX's text syntax, by its beginning.
bool looks_like_onnx_text(const File& file);

}  // namespace hone::onnx
