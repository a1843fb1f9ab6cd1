#include "support/control_groups.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "hone/support/text.h"

namespace hone {

std::vector<ControlGroup> control_groups(const std::string& membership, const std::string& root,
                                         const std::string& controller) {
  std::vector<ControlGroup> groups;
  for (const std::string_view line : split(membership, '\n')) {  // "0::/a/b" or "4:cpu,cpuacct:/a/b"
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < 3) continue;
    const bool version2 = fields[1].empty();
    const auto controllers = split(fields[1], ',');
    if (!version2 && std::find(controllers.begin(), controllers.end(), controller) == controllers.end()) continue;
    const std::string mount = version2 ? root : root + "/" + controller;
    // In a container the path may name a group of the host that can't be seen: then the mounted root is the
    // container's own.
    for (std::string path(fields[2]);; path.resize(path.rfind('/'))) {
      groups.push_back({mount + path, version2});
      if (path.empty() || path[0] != '/') break;
    }
  }
  return groups;
}

std::string kernel_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace hone
