// The options by which a command takes data.
#pragma once

#include <string>
#include <vector>

#include "command.h"
#include "hone/data/dataset.h"
#include "hone/data/feed.h"

namespace hone::tools {

struct DataOptions {
  std::vector<std::string> sources, normalize, arrays;
  std::string label, rows;
  bool round = false;

  // `labelled`: the command needs a label.
  void add_to(Command command, bool labelled);
  bool given() const { return !sources.empty(); }
  data::Dataset open() const;
  data::FeedOptions feed() const;
};

}  // namespace hone::tools
