// Copying elements between a tensor read with any steps and a row-major one.
#pragma once

#include "exec/reference/elements.h"

namespace hone::exec {

// Fills `out`, seen as row-major of `dims` (as many elements as it has), from `in`: element (i, j, ...) comes from
// offset + i * steps[0] + j * steps[1] ... Steps may be 0 or negative. All types, strings and sub-byte ones included.
// The caller makes sure that every offset lies in `in`.
void copy_strided(Context& context, const Array& in, std::int64_t offset, DimSpan dims, DimSpan steps, Array& out);

}  // namespace hone::exec
