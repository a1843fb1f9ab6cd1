// What the commands share: global options, messages and progress on stderr, the report, exit codes.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "command.h"
#include "hone/ir/model.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/report/report.h"
#include "hone/support/error.h"
#include "hone/support/observer.h"

namespace hone::tools {

using Json = nlohmann::ordered_json;

// Options every command takes, and what follows from them.
class Common {
 public:
  Common();
  ~Common();
  void add_to(Command command);
  // Before a command's work: threads, memory limit.
  void apply() const;
  Observer& observer() const { return *observer_; }
  bool quiet() const { return quiet_; }
  // Whether what is written there may be colored: on a terminal, unless NO_COLOR is set.
  static bool color(std::FILE* file);
  std::uint64_t seed() const { return seed_; }

  // Writes to each --report, in its form (docs/reports.md): `body` under the fields every report has.
  void write_report(const std::string& command, Json body) const;
  void write_report(report::Report& report) const;
  // After an error: a report that says so. Does not raise: the error itself is what matters then.
  void report_error(const std::string& command, const Error& error) const noexcept;
  bool reports() const { return !reports_.empty(); }
  // Standard output is a report's: people are told on standard error.
  bool reports_to_stdout() const;
  // What the command ends with when nothing went wrong: 0, unless a gate says otherwise.
  void set_exit_code(int code) { exit_code_ = code; }
  int exit_code() const { return exit_code_; }
  // A line for people, on stderr.
  void say(const std::string& line) const;

 private:
  int threads_ = 0, exit_code_ = 0;
  std::uint64_t seed_ = 0;
  std::string max_memory_;
  std::vector<std::string> reports_;
  bool quiet_ = false;
  std::unique_ptr<Observer> observer_;
};

// Options of commands that read a model and write one.
struct ModelInOut {
  std::string input, output;
  std::string external_root, external_data = "keep";
  std::string shard_size;
  bool no_history = false;

  void add_to(Command command);
  ir::Model read(const Common& common) const;
  void write(const ir::Model& model) const;
  // Appends to the model's history, unless --no-history.
  void record(ir::Model& model, const std::string& tool,
              const std::vector<std::pair<std::string, std::string>>& options) const;
};
// A command that only reads one.
struct ModelIn {
  std::string input, external_root;
  void add_to(Command command);
  ir::Model read(const Common& common) const;
};

// "x=1,3,224,224" -> name and dimensions (numbers or symbols). Raises usage.
std::pair<std::string, ir::Shape> parse_shape(const std::string& text);
// "a=b" -> a and b, cut at the first '='; `option` is named in errors.
std::pair<std::string, std::string> parse_pair(const std::string& text, const std::string& option);
// Tensor names as options give them: each text is a name of the main graph, or several separated by commas.
std::vector<std::string> tensor_names(const ir::Model& model, const std::vector<std::string>& texts);

// Each command, one file.
void add_bench(Command hone, Common& common);
void add_convert(Command hone, Common& common);
void add_run(Command hone, Common& common);
void add_inspect(Command hone, Common& common);
void add_finetune(Command hone, Common& common);
void add_passes(Command hone, Common& common);
void add_validate(Command hone, Common& common);
void add_prune(Command hone, Common& common);
void add_quantize(Command hone, Common& common);
void add_extract(Command hone, Common& common);
void add_split(Command hone, Common& common);
void add_merge(Command hone, Common& common);

}  // namespace hone::tools
