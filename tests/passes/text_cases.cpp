#include "text_cases.h"

#include <algorithm>
#include <fstream>

#include "hone/onnx/read.h"
#include "hone/support/text.h"
#include "sources.h"

namespace hone::testing {

bool TextCase::asks() const { return trim(after) == "?"; }

std::vector<TextCase> read_text_cases(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<TextCase> cases;
  bool in_after = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("== ")) {
      cases.emplace_back().title = line.substr(3);
      in_after = false;
    } else if (cases.empty() || line.starts_with("#")) {
      continue;
    } else if (line == "=>") {
      in_after = true;
    } else if (line.starts_with("=> ")) {
      const std::size_t colon = std::min(line.find(':'), line.size());
      cases.back().verdict = line.substr(3, colon - 3);
      cases.back().reason = trim(std::string_view(line).substr(std::min(colon + 1, line.size())));
    } else {
      (in_after ? cases.back().after : cases.back().before) += line + "\n";
    }
  }
  return cases;
}

std::vector<std::filesystem::path> text_case_files(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(source_path(folder))) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

ir::Model parse_case(const std::string& text, int ir_version, int opset) {
  if (trim(text).starts_with("<")) return onnx::read_text(text);
  return onnx::read_text("<ir_version: " + std::to_string(ir_version) +
                         ", opset_import: [\"\": " + std::to_string(opset) + "]>\n" + text);
}

}  // namespace hone::testing
