// Names and order of what goes in and out.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "hone/ir/model.h"

namespace hone::surgery {

// Old and new names of values of the main graph, all at once, so that two may trade names. Uses in subgraphs follow; a value
// of a subgraph that would catch the new name there gets another. Raises usage for unknown names (naming the nearest),
// empty ones, and new ones that another value of the main graph has.
void rename(ir::Model& model, const std::vector<std::pair<std::string, std::string>>& names);

// All inputs or outputs in this order. Those left out follow in the order they had. Raises usage for names that are none
// (naming the nearest) or come twice.
void order_inputs(ir::Model& model, const std::vector<std::string>& names);
void order_outputs(ir::Model& model, const std::vector<std::string>& names);

}  // namespace hone::surgery
