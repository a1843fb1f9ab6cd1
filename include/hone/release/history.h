// A model tells its own history: each tool that changed it appends an entry to metadata_props["hone.history"], a JSON list
// of {"tool", "version", "options"}. No times, no paths: the same work gives the same bytes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hone/ir/model.h"

namespace hone::release {

struct HistoryEntry {
  std::string tool, version;
  std::vector<std::pair<std::string, std::string>> options;
};

void append_history(ir::Model& model, std::string_view tool,
                    const std::vector<std::pair<std::string, std::string>>& options);
// Entries, oldest first; an entry or list that is not of this form is left out.
std::vector<HistoryEntry> read_history(const ir::Model& model);

}  // namespace hone::release
