#include "hone/report/trace.h"

#include <nlohmann/json.hpp>

namespace hone::report {

std::string chrome_trace(const exec::Session& session) {
  using Json = nlohmann::ordered_json;
  constexpr double us = 1e6;
  Json events = Json::array();
  const auto& nodes = session.profile();
  for (const exec::NodeRun& run : session.trace()) {
    const exec::NodeProfile& profile = nodes[run.node];
    const ir::Node& node = *profile.node;
    const std::string& name = node.name().empty() && node.output(0) ? node.output(0)->name() : node.name();
    Json args{{"op", node.op_type()},
              {"kernel", profile.kernel},
              {"run", run.run},
              {"bytes", run.bytes},
              {"flops", run.flops}};
    if (!node.domain().empty()) args["domain"] = node.domain();
    events.push_back({{"name", name.empty() ? node.op_type() : name},
                      {"cat", node.op_type()},
                      {"ph", "X"},
                      {"ts", run.start * us},
                      {"dur", run.seconds * us},
                      {"pid", 1},
                      {"tid", 1},
                      {"args", std::move(args)}});
  }
  const Json trace{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}};
  return trace.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hone::report
