// hone validate --lint.
#pragma once

#include <string>

#include "common.h"

namespace hone::tools {

struct LintOptions {
  bool lint = false;
  std::string sarif;  // file to write

  void add_to(Command command);
};

// Prints every problem of the model, writes report and SARIF; exit code 3 when one is an error.
void lint(const ModelIn& model, const LintOptions& options, Common& common);

}  // namespace hone::tools
