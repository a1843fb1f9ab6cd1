// What the commands share: global options, messages and progress on stderr, the report, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "hone/ir/model.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/support/observer.h"

namespace hone::tools {

using Json = nlohmann::ordered_json;

// Options every command takes, and what follows from them.
class Common {
 public:
  Common();
  ~Common();
  void add_to(CLI::App& command);
  // Before a command's work: threads, memory limit.
  void apply() const;
  Observer& observer() const { return *observer_; }
  bool quiet() const { return quiet_; }
  std::uint64_t seed() const { return seed_; }

  // Writes "hone.report/1" to --report, if given: `body` under the fields every report has.
  void write_report(const std::string& command, Json body) const;
  // What the command ends with when nothing went wrong: 0, unless a gate says otherwise.
  void set_exit_code(int code) { exit_code_ = code; }
  int exit_code() const { return exit_code_; }
  // A line for people, on stderr.
  void say(const std::string& line) const;

 private:
  int threads_ = 0, exit_code_ = 0;
  std::uint64_t seed_ = 0;
  std::string report_, max_memory_;
  bool quiet_ = false;
  std::unique_ptr<Observer> observer_;
};

// Options of commands that read a model and write one.
struct ModelInOut {
  std::string input, output;
  std::string external_root, external_data = "keep";
  std::string shard_size;
  bool no_history = false;

  void add_to(CLI::App& command);
  ir::Model read(const Common& common) const;
  void write(const ir::Model& model) const;
  // Appends to the model's history, unless --no-history.
  void record(ir::Model& model, const std::string& tool,
              const std::vector<std::pair<std::string, std::string>>& options) const;
};
// A command that only reads one.
struct ModelIn {
  std::string input, external_root;
  void add_to(CLI::App& command);
  ir::Model read(const Common& common) const;
};

// "x=1,3,224,224" -> name and dimensions (numbers or symbols). Raises usage.
std::pair<std::string, ir::Shape> parse_shape(const std::string& text);

// Each command, one file.
void add_convert(CLI::App& hone, Common& common);
void add_run(CLI::App& hone, Common& common);
void add_inspect(CLI::App& hone, Common& common);
void add_finetune(CLI::App& hone, Common& common);
void add_passes(CLI::App& hone, Common& common);
void add_validate(CLI::App& hone, Common& common);
void add_prune(CLI::App& hone, Common& common);
void add_quantize(CLI::App& hone, Common& common);

}  // namespace hone::tools
