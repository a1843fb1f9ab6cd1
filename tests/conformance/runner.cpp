// Runs ONNX backend test cases: folders that hold model.onnx and test_data_set_N/{input,output}_M.pb.
//
// usage: conformance [OPTION...] FOLDER_OF_CASES...
//   --known FILE       cases that may differ, with reasons (tests/conformance/known.txt)
//   --only TEXT        cases whose name contains TEXT
//   --table FILE       write the table of results (docs/conformance.md)
//   --opset N          convert each model to opset N first; "unsupported" are those that can't be
//   --reference        reference kernels only
//   --verbose          say why each case failed
//   --in-process       do not fork for each case (for a debugger)
//
// A case passes when every output has the element type and shape expected, floating-point numbers within the case's
// tolerance (rtol 1e-3, atol 1e-7 unless tolerances.json beside the cases says otherwise), everything else exactly. Exit
// code 1 if a case failed that is not known to, or one that is known to fail passed.
#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "hone/exec/kernel.h"
#include "hone/exec/session.h"
#include "hone/onnx/check.h"
#include "hone/onnx/read.h"
#include "hone/passes/convert_opset.h"
#include "hone/support/error.h"

namespace {

namespace fs = std::filesystem;
using hone::ir::Datum;
using hone::ir::Tensor;

struct Tolerance {
  double relative = 1e-3, absolute = 1e-7;
};

struct Options {
  std::vector<std::string> folders;
  std::string known, only, table;
  int opset = 0;  // 0: as the case has it
  bool reference = false, verbose = false, in_process = false;
};

enum class Outcome { passed, failed, unsupported, crashed };

struct Result {
  Outcome outcome = Outcome::crashed;
  std::string operation, type, reason;
};

struct Known {
  bool shape_only = false;  // otherwise it is known to fail
  std::string reason;
};

// Why two values differ; empty where they are alike.
std::string difference(const Datum& got, const Datum& expected, Tolerance tolerance, bool shape_only);

std::string tensor_difference(const Tensor& got, const Tensor& expected, Tolerance tolerance, bool shape_only) {
  if (got.type() != expected.type())
    return fmt::format("{} where {} is expected", name(got.type()), name(expected.type()));
  if (got.dims() != expected.dims()) {
    return fmt::format("shape {} where {} is expected", hone::ir::text(got.dims()), hone::ir::text(expected.dims()));
  }
  if (shape_only) return {};
  if (got.is_string()) {
    return *got.string_values() == *expected.string_values() ? "" : "other strings";
  }
  const Tensor a = got.loaded(), b = expected.loaded();
  const bool complex =
      got.type() == hone::ir::ElementType::complex64 || got.type() == hone::ir::ElementType::complex128;
  if (!hone::ir::is_float(got.type()) && !complex) {
    if (a.byte_size() == 0 || std::memcmp(a.bytes().data(), b.bytes().data(), a.byte_size()) == 0) return {};
    if (got.type() == hone::ir::ElementType::boolean) return "other booleans";
    const auto x = got.to_ints(), y = expected.to_ints();
    const auto at = std::mismatch(x.begin(), x.end(), y.begin());
    if (at.first == x.end()) return {};  // unused bits of the last byte
    return fmt::format("element {}: {} where {} is expected", at.first - x.begin(), *at.first, *at.second);
  }
  std::vector<double> x, y;
  if (got.type() == hone::ir::ElementType::complex64) {
    for (const float v : a.data<float>()) x.push_back(v);
    for (const float v : b.data<float>()) y.push_back(v);
  } else if (complex) {
    for (const double v : a.data<double>()) x.push_back(v);
    for (const double v : b.data<double>()) y.push_back(v);
  } else {
    x = a.to_doubles();
    y = b.to_doubles();
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (x[i] == y[i]) continue;
    if (std::abs(x[i] - y[i]) <= tolerance.absolute + tolerance.relative * std::abs(y[i]) && std::isfinite(y[i]))
      continue;
    return fmt::format("element {} of {}: {} where {} is expected", i, x.size(), x[i], y[i]);
  }
  return {};
}

std::string difference(const Datum& got, const Datum& expected, Tolerance tolerance, bool shape_only) {
  if (const auto* optional = expected.optional(); optional && optional->value && !got.optional()) {
    return difference(got, *optional->value, tolerance, shape_only);
  }
  if (got.value.index() != expected.value.index()) return "another kind of value";
  if (const Tensor* tensor = got.tensor()) return tensor_difference(*tensor, *expected.tensor(), tolerance, shape_only);
  if (const auto* sequence = got.sequence()) {
    if (sequence->items.size() != expected.sequence()->items.size()) {
      return fmt::format("{} items where {} are expected", sequence->items.size(), expected.sequence()->items.size());
    }
    for (std::size_t i = 0; i < sequence->items.size(); ++i) {
      const std::string why = difference(sequence->items[i], expected.sequence()->items[i], tolerance, shape_only);
      if (!why.empty()) return fmt::format("item {}: {}", i, why);
    }
    return {};
  }
  if (const auto* optional = got.optional()) {
    const bool here = optional->value != nullptr, there = expected.optional()->value != nullptr;
    if (here != there) return here ? "a value where none is expected" : "no value where one is expected";
    return here ? difference(*optional->value, *expected.optional()->value, tolerance, shape_only) : "";
  }
  const auto& a = *got.map();
  const auto& b = *expected.map();
  if (const std::string why = tensor_difference(a.keys, b.keys, tolerance, shape_only); !why.empty())
    return "keys: " + why;
  for (std::size_t i = 0; i < a.values.size() && i < b.values.size(); ++i) {
    const std::string why = difference(a.values[i], b.values[i], tolerance, shape_only);
    if (!why.empty()) return fmt::format("value {}: {}", i, why);
  }
  return a.values.size() == b.values.size() ? "" : "another number of values";
}

// What the row of the table is called.
void describe(const hone::ir::Model& model, const std::string& name, Result& result) {
  const hone::ir::Graph& graph = *model.graph;
  if (graph.node_count() == 1 || name.find("_expanded") != std::string::npos) {
    result.operation = graph.node_count() == 1 ? graph.first()->op_type() : "(function bodies, expanded)";
    if (graph.node_count() == 1 && !graph.first()->domain().empty()) {
      result.operation = graph.first()->domain() + "." + result.operation;
    }
  } else {
    result.operation = "(several)";
  }
  result.type = "(none)";
  for (const auto list : {graph.inputs(), graph.outputs()}) {
    for (const hone::ir::Value* value : list) {
      if (result.type != "(none)") return;
      result.type = value->type().is_tensor() ? std::string(hone::ir::name(value->element_type())) : "(not a tensor)";
    }
  }
}

// The files PREFIX0.pb, PREFIX1.pb ... as values of these types.
std::vector<Datum> read_all(const fs::path& folder, const std::string& prefix,
                            const std::vector<const hone::ir::Value*>& values) {
  std::vector<Datum> result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const fs::path path = folder / fmt::format("{}{}.pb", prefix, i);
    if (!fs::exists(path)) break;
    result.push_back(hone::onnx::read_datum(path.string(), values[i]->type()));
  }
  return result;
}

bool is_valid(const hone::ir::Model& model) {
  try {
    hone::onnx::check(model);
    return true;
  } catch (const hone::Error&) {
    return false;
  }
}

void convert_opset(hone::ir::Model& model, int opset) {
  const bool was_valid = is_valid(model);
  hone::in_context([] { return std::string("converting"); }, [&] { hone::passes::convert_opset(model, opset); });
  hone::ir::verify(*model.graph);
  if (was_valid) hone::onnx::check(model);
}

Result run_case(const fs::path& folder, const Options& options, Tolerance tolerance, bool shape_only) {
  Result result;
  try {
    hone::ir::Model model = hone::onnx::read((folder / "model.onnx").string());
    describe(model, folder.filename().string(), result);
    if (options.opset > 0 && model.opset() > 0) convert_opset(model, options.opset);
    std::vector<const hone::ir::Value*> inputs, required;
    for (const hone::ir::Value* value : model.graph->inputs()) {
      inputs.push_back(value);
      if (!value->initializer()) required.push_back(value);
    }
    hone::exec::SessionOptions settings;
    settings.reference = options.reference;
    hone::exec::Session session(model, settings);
    std::vector<const hone::ir::Value*> outputs(model.graph->outputs().begin(), model.graph->outputs().end());
    result.outcome = Outcome::passed;
    for (int set = 0;; ++set) {
      const fs::path data = folder / fmt::format("test_data_set_{}", set);
      if (!fs::exists(data)) break;
      const bool all = fs::exists(data / fmt::format("input_{}.pb", required.size()));
      const auto& names = all ? inputs : required;
      const std::vector<Datum> given = read_all(data, "input_", names), expected = read_all(data, "output_", outputs);
      std::vector<hone::ir::NamedDatum> feed;
      for (std::size_t i = 0; i < given.size(); ++i) feed.push_back({names[i]->name(), given[i]});
      // The second run has planned memory.
      for (int round = 0; round < 2; ++round) {
        const std::vector<Datum> got = session.run(feed);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          const std::string why = difference(got[i], expected[i], tolerance, shape_only);
          if (why.empty()) continue;
          result.outcome = Outcome::failed;
          result.reason = fmt::format("output {}: {}{}", i, why, round > 0 ? " (in the second run)" : "");
          return result;
        }
        if (shape_only) break;
      }
    }
  } catch (const hone::Error& error) {
    result.outcome = error.kind() == hone::ErrorKind::unsupported ? Outcome::unsupported : Outcome::failed;
    result.reason = error.message();
  } catch (const std::exception& error) {
    result.outcome = Outcome::failed;
    result.reason = error.what();
  }
  return result;
}

// In a process of its own, so that a crash or a hang is one failed case.
Result run_forked(const fs::path& folder, const Options& options, Tolerance tolerance, bool shape_only) {
  if (options.in_process) return run_case(folder, options, tolerance, shape_only);
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe");
  std::cout.flush();
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(120);
    const Result result = run_case(folder, options, tolerance, shape_only);
    const nlohmann::json text = {static_cast<int>(result.outcome), result.operation, result.type, result.reason};
    const std::string bytes = text.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t written = write(ends[1], bytes.data() + at, bytes.size() - at);
      if (written <= 0) break;
      at += static_cast<std::size_t>(written);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string bytes;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof(buffer))) > 0;)
    bytes.append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  Result result;
  if (bytes.empty()) {
    result.reason = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status)) : "no answer";
    result.operation = "(crashed)";
    result.type = "(crashed)";
    return result;
  }
  const nlohmann::json text = nlohmann::json::parse(bytes);
  result.outcome = static_cast<Outcome>(text[0].get<int>());
  result.operation = text[1];
  result.type = text[2];
  result.reason = text[3];
  return result;
}

// Lines "fails NAME: reason" and "shape NAME: reason"; # starts a comment.
std::map<std::string, Known> read_known(const std::string& path) {
  std::map<std::string, Known> known;
  std::ifstream file(path);
  if (!path.empty() && !file) throw std::runtime_error("can't read " + path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t space = line.find(' '), colon = line.find(": ");
    if (space == std::string::npos || colon == std::string::npos) throw std::runtime_error(path + ": " + line);
    known[line.substr(space + 1, colon - space - 1)] = {line.substr(0, space) == "shape", line.substr(colon + 2)};
  }
  return known;
}

std::map<std::string, Tolerance> read_tolerances(const fs::path& folder) {
  std::map<std::string, Tolerance> result;
  for (const fs::path& path :
       {folder / "tolerances.json", folder / ".." / (folder.filename().string() + "_tolerances.json")}) {
    std::ifstream file(path);
    if (!file) continue;
    const nlohmann::json tolerances = nlohmann::json::parse(file);
    for (const auto& [name, value] : tolerances.items()) {
      result[name] = {value["rtol"], value["atol"]};
    }
    break;
  }
  return result;
}

struct Count {
  int passed = 0, failed = 0, unsupported = 0;
  void add(Outcome outcome) {
    ++(outcome == Outcome::passed ? passed : outcome == Outcome::unsupported ? unsupported : failed);
  }
  std::string row() const { return fmt::format("{} | {} | {}", passed, failed, unsupported); }
};

std::string table(const char* title, const std::map<std::string, Count>& counts) {
  std::string text = fmt::format("\n| {} | passed | failed | unsupported |\n|---|---:|---:|---:|\n", title);
  for (const auto& [name, count] : counts) text += fmt::format("| {} | {} |\n", name, count.row());
  return text;
}

int run(const Options& options) {
  const std::map<std::string, Known> known = read_known(options.known);
  std::map<std::string, Count> suites, operators, types;
  std::map<std::string, std::string> bad;
  Count all;
  int surprises = 0;
  std::set<std::string> seen;
  for (const std::string& suite : options.folders) {
    const auto tolerances = read_tolerances(suite);
    std::vector<fs::path> cases;
    for (const auto& entry : fs::directory_iterator(suite)) {
      if (fs::exists(entry.path() / "model.onnx") &&
          entry.path().filename().string().find(options.only) != std::string::npos) {
        cases.push_back(entry.path());
      }
    }
    std::sort(cases.begin(), cases.end());
    for (const fs::path& path : cases) {
      const std::string name = path.filename().string();
      seen.insert(name);
      const auto tolerance = tolerances.find(name);
      const auto expected = known.find(name);
      const bool shape_only = expected != known.end() && expected->second.shape_only;
      const Result result =
          run_forked(path, options, tolerance == tolerances.end() ? Tolerance{} : tolerance->second, shape_only);
      all.add(result.outcome);
      suites[fs::path(suite).filename().string()].add(result.outcome);
      operators[result.operation].add(result.outcome);
      types[result.type].add(result.outcome);
      const bool fails_as_known = expected != known.end() && !shape_only;
      if (result.outcome != Outcome::passed) {
        bad[name] = fails_as_known ? expected->second.reason : result.reason;
        if (options.verbose) {
          std::cout << (result.outcome == Outcome::unsupported ? "unsupported " : "FAILED ") << name << ": "
                    << result.reason << "\n";
        }
        if (!fails_as_known) ++surprises;
      } else if (fails_as_known) {
        std::cout << name << " passes, and is listed as failing\n";
        ++surprises;
      }
    }
  }
  const int total = all.passed + all.failed + all.unsupported;
  std::cout << fmt::format("{} passed, {} failed, {} unsupported of {}\n", all.passed, all.failed, all.unsupported,
                           total);
  if (!options.table.empty()) {
    std::ofstream file(options.table);
    file << "# ONNX conformance\n\n"
            "Made by `tests/conformance/table`: the backend test cases of `onnx==1.23.2`, run by hone's engine. A case "
            "passes\n"
            "when every output has the type and shape expected, floating-point numbers within the tolerance of the "
            "case (rtol\n"
            "1e-3, atol 1e-7 where it has none), everything else exactly.\n";
    suites["**all**"] = all;
    file << table("suite", suites);
    if (!bad.empty()) {
      file << "\n## Cases that don't pass\n\n";
      for (const auto& [name, reason] : bad) file << "- `" << name << "`: " << reason << "\n";
    }
    bool any = false;
    for (const auto& [name, each] : known) {
      if (!each.shape_only || !seen.contains(name)) continue;
      if (!any) file << "\n## Cases compared by type and shape alone\n\n";
      any = true;
      file << "- `" << name << "`: " << each.reason << "\n";
    }
    file << "\n## By operator\n"
         << table("operator", operators) << "\n## By element type of the first input\n"
         << table("type", types);
    if (!file) throw std::runtime_error("can't write " + options.table);
  }
  return surprises == 0 && total > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (argument == "--known") {
      options.known = value();
    } else if (argument == "--only") {
      options.only = value();
    } else if (argument == "--table") {
      options.table = value();
    } else if (argument == "--opset") {
      options.opset = std::stoi(value());
    } else if (argument == "--reference") {
      options.reference = true;
    } else if (argument == "--verbose") {
      options.verbose = true;
    } else if (argument == "--in-process") {
      options.in_process = true;
    } else if (argument.starts_with("--")) {
      std::cerr << "unknown option " << argument << "\n";
      return 2;
    } else {
      const fs::path path = argument;
      options.folders.push_back(path.has_filename() ? argument : path.parent_path().string());
    }
  }
  try {
    return run(options);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
