// Shape functions of com.microsoft.
#pragma once

#include "shapes/functions.h"

namespace hone::shapes {

std::vector<FunctionEntry> microsoft_functions();
void simplified_normalization(View& view);  // theirs too, in ONNX's own domain

// Of contraction.cpp: what is a Conv first; pooling, with the channels where `channels_last` says.
void convolution(View& view);
void pooling(View& view);

}  // namespace hone::shapes
