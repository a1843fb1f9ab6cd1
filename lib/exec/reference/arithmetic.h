// How operators of opset 6 and before broadcast.
#pragma once

#include "exec/reference/broadcast.h"

namespace hone::exec {

// The shape of the second operand as it stands against the first under the attributes broadcast and axis.
ir::Dims legacy_dims(const ir::Node& node, DimSpan a, DimSpan b);

}  // namespace hone::exec
