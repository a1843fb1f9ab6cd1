// The options by which a command takes data.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "hone/data/dataset.h"
#include "hone/data/feed.h"

namespace hone::tools {

struct DataOptions {
  std::vector<std::string> sources, normalize, arrays;
  std::string label, rows;
  bool round = false;

  // `labelled`: the command needs a label.
  void add_to(CLI::App& command, bool labelled);
  bool given() const { return !sources.empty(); }
  data::Dataset open() const;
  data::FeedOptions feed() const;
};

}  // namespace hone::tools
