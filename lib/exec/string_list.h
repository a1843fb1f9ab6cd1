// Attributes that are lists of strings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/graph.h"

namespace hone::exec {

// Empty where the attribute is absent or something else.
inline std::vector<std::string> string_list(const ir::Node& node, std::string_view name) {
  const ir::Attribute* attribute = node.attribute(name);
  const auto* list = attribute ? attribute->get<std::vector<std::string>>() : nullptr;
  return list ? *list : std::vector<std::string>();
}

}  // namespace hone::exec
