// The parts of a report that people read, as tables; shared by the terminal and Markdown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hone/report/report.h"
#include "hone/report/table.h"

namespace hone::report {

struct Section {
  std::string title;
  Table table;
};

// Those that have anything in them, in the order to be shown. Gates are not among them.
std::vector<Section> sections(const Report& report);

// One line: "3 of 4 gates passed", "done".
std::string headline(const Report& report);

}  // namespace hone::report
