// hone inspect: what is in a model, for people and as JSON.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "common.h"
#include "hone/release/history.h"
#include "hone/shapes/cost.h"
#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::tools {
namespace {

struct InspectFlags {
  ModelIn file;
  bool json = false, history = false, nodes = false, sparsity = false;
};

Json describe(const ir::Value& value) { return {{"name", value.name()}, {"type", ir::text(value.type())}}; }

Json history_of(const ir::Model& model) {
  Json list = Json::array();
  for (const release::HistoryEntry& entry : release::read_history(model)) {
    Json options = Json::object();
    for (const auto& [name, value] : entry.options) options[name] = value;
    list.push_back({{"tool", entry.tool}, {"version", entry.version}, {"options", std::move(options)}});
  }
  return list;
}

Json describe(const ir::Model& model, const InspectFlags& options) {
  const shapes::Cost cost = shapes::cost(model, 1, options.sparsity);
  std::map<std::string, std::uint64_t> operators;
  std::map<std::string, std::uint64_t> weights;  // bytes by element type
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      ++operators[node.domain().empty() ? node.op_type() : node.domain() + "::" + node.op_type()];
    }
    for (const ir::Value* value : graph.initializers()) {
      if (value->initializer())
        weights[std::string(ir::name(value->initializer()->type()))] += value->initializer()->byte_size();
    }
  });
  Json inputs = Json::array(), outputs = Json::array(), opsets = Json::object(), metadata = Json::object();
  for (const ir::Value* value : model.graph->inputs()) {
    if (!value->initializer()) inputs.push_back(describe(*value));
  }
  for (const ir::Value* value : model.graph->outputs()) outputs.push_back(describe(*value));
  for (const ir::OpsetImport& import : model.opsets) {
    opsets[import.domain.empty() ? "ai.onnx" : import.domain] = import.version;
  }
  for (const auto& [key, value] : model.metadata) metadata[key] = value;
  Json result{{"source", model.source},
              {"ir_version", model.ir_version},
              {"opsets", std::move(opsets)},
              {"producer", model.producer_name + (model.producer_version.empty() ? "" : " " + model.producer_version)},
              {"inputs", std::move(inputs)},
              {"outputs", std::move(outputs)},
              {"size", onnx::serialized_size(model)},
              {"nodes", cost.nodes},
              {"functions", model.functions.size()},
              {"parameters", cost.parameters},
              {"parameter_bytes", cost.parameter_bytes},
              {"weights", weights},
              {"macs", cost.macs},
              {"macs_complete", cost.complete},
              {"operators", operators},
              {"history", history_of(model)},
              {"metadata", std::move(metadata)}};
  if (options.sparsity) {
    result["nonzero_parameters"] = cost.nonzero_parameters;
    result["sparsity"] = cost.parameters == 0 ? 0.0
                                              : 1.0 - static_cast<double>(cost.nonzero_parameters) /
                                                          static_cast<double>(cost.parameters);
  }
  if (options.nodes) {
    Json nodes = Json::array();
    for (const ir::Node& node : model.graph->nodes()) {
      bool complete = true;
      Json types = Json::array();
      for (std::size_t i = 0; i < node.output_count(); ++i) {
        if (node.output(i)) types.push_back(describe(*node.output(i)));
      }
      nodes.push_back({{"name", node.name()},
                       {"op", node.op_type()},
                       {"macs", shapes::macs(node, 1, complete)},
                       {"outputs", std::move(types)}});
    }
    result["node_list"] = std::move(nodes);
  }
  return result;
}

// A name from the file, harmless on a terminal.
std::string shown(const Json& text) {
  const std::string name = hone::quote(text.get<std::string>());
  return name.size() >= 2 ? name.substr(1, name.size() - 2) : name;
}

void print(const Json& model, const InspectFlags& options) {
  fmt::print("{}: {}, IR {}", shown(model["source"]), human_bytes(model["size"]), model["ir_version"].dump());
  for (const auto& [domain, version] : model["opsets"].items()) fmt::print(", {} {}", domain, version.dump());
  if (!model["producer"].get<std::string>().empty()) fmt::print(", made by {}", shown(model["producer"]));
  fmt::print("\n");
  for (const char* side : {"inputs", "outputs"}) {
    for (const Json& value : model[side]) {
      fmt::print("  {:<7} {}: {}\n", side[0] == 'i' ? "input" : "output", shown(value["name"]), shown(value["type"]));
    }
  }
  fmt::print("{} nodes, {} parameters ({}), {}{:.4g} million multiply-accumulates for one sample\n",
             model["nodes"].dump(), model["parameters"].dump(), human_bytes(model["parameter_bytes"]),
             model["macs_complete"].get<bool>() ? "" : "at least ", model["macs"].get<double>() / 1e6);
  if (model.contains("sparsity"))
    fmt::print("{:.2f} % of the parameters are zero\n", model["sparsity"].get<double>() * 100);
  std::vector<std::pair<std::uint64_t, std::string>> operators;
  for (const auto& [name, count] : model["operators"].items()) operators.emplace_back(count.get<std::uint64_t>(), name);
  std::stable_sort(operators.begin(), operators.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [count, name] : operators) fmt::print("  {:>6} {}\n", count, shown(name));
  if (options.nodes) {
    for (const Json& node : model["node_list"]) {
      std::string types;
      for (const Json& value : node["outputs"]) types += " " + shown(value["type"]);
      fmt::print("{} {} {:.4g} MACs ->{}\n", shown(node["name"]), shown(node["op"]), node["macs"].get<double>(), types);
    }
  }
  if (options.history) {
    for (const Json& entry : model["history"]) {
      fmt::print("{} {} {}\n", shown(entry["tool"]), shown(entry["version"]), shown(Json(entry["options"].dump())));
    }
  }
}

}  // namespace

void add_inspect(Command hone, Common& common) {
  auto options = std::make_shared<InspectFlags>();
  Command command = hone.add_command("inspect", "show signature, operators, size and cost of a model");
  options->file.add_to(command);
  command.add_flag("--json", options->json, "as JSON, on stdout");
  command.add_flag("--nodes", options->nodes, "every node with the types of its outputs");
  command.add_flag("--sparsity", options->sparsity, "count zeros: reads all weights");
  command.add_flag("--history", options->history, "what hone did to it, oldest first");
  common.add_to(command);
  command.callback([options, &common] {
    common.apply();
    ir::Model model = options->file.read(common);
    shapes::Inference(model).run();
    Json description = describe(model, *options);
    if (options->json) {
      fmt::print("{}\n", description.dump(2, ' ', false, Json::error_handler_t::replace));
    } else {
      print(description, *options);
    }
    common.write_report("inspect", {{"model", std::move(description)}});
  });
}

}  // namespace hone::tools
