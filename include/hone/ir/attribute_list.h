// Attributes of a node to be made.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "hone/ir/attribute.h"

namespace hone::ir {

// Name and payload, in order.
using Attributes = std::vector<std::pair<std::string, Attribute::Payload>>;

// attributes("axis", axis, "keepdims", std::int64_t{0})
inline Attributes attributes() { return {}; }
template <typename... Rest>
Attributes attributes(std::string name, Attribute::Payload payload, Rest&&... rest) {
  Attributes result;
  result.emplace_back(std::move(name), std::move(payload));
  if constexpr (sizeof...(rest) > 0) {
    Attributes more = attributes(std::forward<Rest>(rest)...);
    for (auto& each : more) result.push_back(std::move(each));
  }
  return result;
}

}  // namespace hone::ir
