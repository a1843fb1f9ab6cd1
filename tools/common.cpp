#include "common.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "hone/release/history.h"
#include "hone/support/buffer.h"
#include "hone/support/error.h"
#include "hone/support/output.h"
#include "hone/support/system_memory.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"
#include "hone/support/version.h"

namespace hone::tools {
namespace {

// Messages and, on a terminal only, a progress line.
class Terminal final : public Observer {
 public:
  explicit Terminal(const bool& quiet)
      : quiet_(quiet), is_terminal_(isatty(STDERR_FILENO) != 0), color_(Common::color(stderr)) {}
  ~Terminal() override { clear(); }

  void message(Level level, std::string_view text) override {
    if (level == Level::debug || (quiet_ && level != Level::warning)) return;
    clear();
    const char* prefix = level != Level::warning ? "" : color_ ? "\033[33mwarning:\033[0m " : "warning: ";
    fmt::print(stderr, "hone: {}{}\n", prefix, text);
  }
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total, std::string_view detail) override {
    if (!is_terminal_ || quiet_) return;
    const auto now = std::chrono::steady_clock::now();
    if (done < total && now - last_ < std::chrono::milliseconds(50)) return;
    last_ = now;
    std::string bar;
    if (total > 0) {
      constexpr std::uint64_t kWidth = 24;
      const std::uint64_t filled = std::min(kWidth, done * kWidth / total);
      bar = "[" + std::string(filled, '=') + std::string(kWidth - filled, ' ') + "] ";
    }
    fmt::print(stderr, "\r\033[K{}{} {}/{}  {}", bar, what, done, total, detail);
    std::fflush(stderr);
    shown_ = true;
  }

 private:
  void clear() {
    if (shown_) fmt::print(stderr, "\r\033[K");
    shown_ = false;
  }
  const bool& quiet_;
  bool is_terminal_, color_, shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace

Common::Common() : observer_(std::make_unique<Terminal>(quiet_)) {}
Common::~Common() = default;

bool Common::color(std::FILE* file) {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(fileno(file)) != 0 && !(no_color && *no_color);
}

void Common::add_to(Command command) {
  const std::string group = "Common options";
  command.add_option("--threads", threads_, "threads to compute with; 0: all the process may use")
      .not_negative()
      .group(group);
  command.add_option("--seed", seed_, "seed of everything random").group(group);
  command
      .add_option(
          "--report", reports_,
          "write a report (- for stdout) as json, junit, markdown or github; by default as FILE ends; repeatable")
      .type_name("[FORM=]FILE")
      .group(group);
  command
      .add_option("--max-memory", max_memory_,
                  "stop before tensors need more than SIZE, such as 512MB; by default 90 % of what is available")
      .type_name("SIZE")
      .group(group);
  command.add_flag("--quiet,-q", quiet_, "only errors and warnings on stderr").group(group);
}

void Common::apply() const {
  for (const std::string& text : reports_) report::parse_target(text);  // before any work
  set_threads(threads_);
  if (!max_memory_.empty()) {
    const auto bytes = parse_size(max_memory_);
    if (!bytes || *bytes == 0)
      usage_error("--max-memory {} is not a size such as 512MB or 2GiB", hone::quote(max_memory_));
    set_memory_limit(*bytes);
  } else {
    // A model that asks for more than there is ends with an error, not with whatever process the system kills.
    const std::uint64_t available = available_memory();
    set_memory_limit(available - available / 10);
  }
}

void Common::write_report(const std::string& command, Json body) const {
  if (reports_.empty()) return;
  report::Report report(command);
  for (auto& [key, value] : body.items()) report.json()[key] = std::move(value);
  write_report(report);
}

void Common::write_report(report::Report& report) const {
  report.json()["tool"] = "hone " + report.json().value("command", "");
  report.json()["version"] = version();
  for (const std::string& text : reports_) {
    const report::Target target = report::parse_target(text);
    const std::string contents = report::render(report, target.form);
    if (target.path != "-") {
      write_file(target.path, contents);
    } else if (std::fwrite(contents.data(), 1, contents.size(), stdout) != contents.size() ||
               std::fflush(stdout) != 0) {
      fail(ErrorKind::io, "writing the report to standard output failed");
    }
  }
}

void Common::report_error(const std::string& command, const Error& error) const noexcept {
  try {
    report::Report report(command);
    report.set_error(error);
    if (error.kind() == ErrorKind::interrupted) report.set_exit_code(128 + interrupt_signal());
    write_report(report);
  } catch (const std::exception&) {  // a full disk, say: the first error is the one to tell
  }
}

bool Common::reports_to_stdout() const {
  return std::any_of(reports_.begin(), reports_.end(),
                     [](const std::string& text) { return report::parse_target(text).path == "-"; });
}

void Common::say(const std::string& line) const { observer_->message(Level::info, line); }

void ModelInOut::add_to(Command command) {
  command.add_option("model", input, "model to read (.onnx, .onnxtxt; - for stdin)").required().type_name("IN");
  command.add_option("-o,--output", output, "model to write (.onnx, .onnxtxt; - for stdout)")
      .required()
      .type_name("OUT");
  command.add_option("--external-root", external_root, "folder of the model's external data (needed with stdin)")
      .type_name("DIR");
  command
      .add_option("--external-data", external_data,
                  "keep: where they were; inline: in the model file; external: beside it")
      .one_of({"keep", "inline", "external"});
  command.add_option("--shard-size", shard_size, "weights beside the model, in files of this size at most, such as 2GB")
      .type_name("SIZE");
  command.add_flag("--no-history", no_history, "don't append this run to the model's history");
}

ir::Model ModelInOut::read(const Common& common) const {
  if (output == "-" && common.reports_to_stdout()) {
    usage_error("the model and the report can't both go to standard output: name a file for one of them");
  }
  onnx::ReadOptions options;
  options.external_root = external_root;
  options.observer = &common.observer();
  return onnx::read(input, options);
}

void ModelInOut::write(const ir::Model& model) const {
  onnx::WriteOptions options;
  options.external_data = external_data == "inline"     ? onnx::ExternalData::inline_
                          : external_data == "external" ? onnx::ExternalData::external
                                                        : onnx::ExternalData::keep;
  if (!shard_size.empty()) {
    const auto bytes = parse_size(shard_size);
    if (!bytes || *bytes == 0) usage_error("--shard-size {} is not a size such as 2GB", hone::quote(shard_size));
    if (external_data == "inline")
      usage_error("--shard-size is about external files, and --external-data inline makes none");
    options.shard_size = *bytes;
    options.external_data = onnx::ExternalData::external;
  }
  onnx::write(model, output, options);
}

void ModelInOut::record(ir::Model& model, const std::string& tool,
                        const std::vector<std::pair<std::string, std::string>>& options) const {
  if (!no_history) release::append_history(model, tool, options);
}

void ModelIn::add_to(Command command) {
  command.add_option("model", input, "model to read (.onnx, .onnxtxt; - for stdin)").required().type_name("MODEL");
  command.add_option("--external-root", external_root, "folder of the model's external data (needed with stdin)")
      .type_name("DIR");
}

ir::Model ModelIn::read(const Common& common) const {
  onnx::ReadOptions options;
  options.external_root = external_root;
  options.observer = &common.observer();
  return onnx::read(input, options);
}

std::pair<std::string, ir::Shape> parse_shape(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) usage_error("{} is not NAME=D1,D2,...", hone::quote(text));
  ir::Shape shape;
  const std::string dims = text.substr(equals + 1);
  if (!dims.empty()) {
    for (const std::string_view item : split(dims, ',')) {
      const ir::Dimension dim = ir::Dimension::parse(trim(item));
      if (dim.is_unknown() || (dim.number() && *dim.number() < 0)) {
        usage_error("{}: dimension {} is neither a number nor a name", hone::quote(text), hone::quote(item));
      }
      shape.push_back(dim);
    }
  }
  return {text.substr(0, equals), std::move(shape)};
}

std::pair<std::string, std::string> parse_pair(const std::string& text, const std::string& option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    usage_error("{} {} is not of the form A=B", option, hone::quote(text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::vector<std::string> tensor_names(const ir::Model& model, const std::vector<std::string>& texts) {
  std::vector<std::string> names;
  for (const std::string& text : texts) {
    if (model.graph->find(text)) {
      names.push_back(text);
      continue;
    }
    for (const std::string_view piece : split(text, ',')) {
      if (!trim(piece).empty()) names.emplace_back(trim(piece));
    }
  }
  return names;
}

}  // namespace hone::tools
