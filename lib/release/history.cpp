#include "hone/release/history.h"

#include <nlohmann/json.hpp>

#include "hone/support/version.h"

namespace hone::release {
namespace {

constexpr std::string_view kKey = "hone.history";
using Json = nlohmann::ordered_json;

Json parse(const ir::Model& model) {
  const std::string* text = model.find_metadata(kKey);
  if (!text) return Json::array();
  Json list = Json::parse(*text, nullptr, false);
  return list.is_array() ? list : Json::array();
}

}  // namespace

void append_history(ir::Model& model, std::string_view tool,
                    const std::vector<std::pair<std::string, std::string>>& options) {
  Json list = parse(model);
  Json entry{{"tool", tool}, {"version", version()}, {"options", Json::object()}};
  for (const auto& [name, value] : options) entry["options"][name] = value;
  list.push_back(std::move(entry));
  model.set_metadata(kKey, list.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::vector<HistoryEntry> read_history(const ir::Model& model) {
  std::vector<HistoryEntry> result;
  for (const Json& item : parse(model)) {
    if (!item.is_object() || !item.contains("tool") || !item["tool"].is_string()) continue;
    HistoryEntry entry{item["tool"], "", {}};
    if (item.contains("version") && item["version"].is_string()) entry.version = item["version"];
    if (item.contains("options") && item["options"].is_object()) {
      for (const auto& [name, value] : item["options"].items()) {
        entry.options.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
      }
    }
    result.push_back(std::move(entry));
  }
  return result;
}

}  // namespace hone::release
