// hone passes: the list that `hone convert` runs.
#include "hone/passes/passes.h"

#include <fmt/core.h>

#include "common.h"

namespace hone::tools {

void add_passes(Command hone, Common& common) {
  auto json = std::make_shared<bool>(false);
  Command command = hone.add_command("passes", "list the passes, what each does and what it leaves alone");
  command.add_flag("--json", *json, "as JSON");
  common.add_to(command);
  command.callback([json] {
    if (*json) {
      Json list = Json::array();
      for (const rewrite::Pass& pass : passes::list()) {
        list.push_back(
            {{"name", pass.name}, {"level", pass.level}, {"help", pass.help}, {"leaves_alone", pass.leaves_alone}});
      }
      fmt::print("{}\n", list.dump(2));
      return;
    }
    fmt::print("{:<34} {:<6} {}\n", "pass", "level", "what it does");
    for (const rewrite::Pass& pass : passes::list()) {
      fmt::print("{:<34} {:<6} {}\n{:<41} leaves alone: {}\n", pass.name, pass.level, pass.help, "", pass.leaves_alone);
    }
  });
}

}  // namespace hone::tools
