// Attributes: construction and destruction, where Graph is complete.
//
// Not handled: copying, which needs the node that will own the subgraphs (clone_attribute in graph.h).
#include "hone/ir/attribute.h"

#include "hone/ir/graph.h"

namespace hone::ir {

Attribute::Attribute() = default;
Attribute::Attribute(std::string name, Payload payload) : name(std::move(name)), payload(std::move(payload)) {}
Attribute::~Attribute() = default;
Attribute::Attribute(Attribute&&) noexcept = default;
Attribute& Attribute::operator=(Attribute&&) noexcept = default;

}  // namespace hone::ir
